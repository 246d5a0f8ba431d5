// Says what the app keeps in the browser. There is nothing to consent to, since
// only what is needed is kept; so it says so once and goes away.

import { useTranslation } from 'react-i18next';
import { usePreferences } from '../app';
import { Button } from '../kit/Button';

export function Notice() {
  const { t } = useTranslation();
  const [{ noticeSeen }, prefer] = usePreferences();
  if (noticeSeen) return null;
  return (
    <section className="notice" aria-label={t('notice.title')}>
      <p>
        <strong>{t('notice.title')}.</strong> {t('notice.text')}
      </p>
      <Button look="outline" onPress={() => prefer({ noticeSeen: true })}>
        {t('notice.ok')}
      </Button>
    </section>
  );
}
