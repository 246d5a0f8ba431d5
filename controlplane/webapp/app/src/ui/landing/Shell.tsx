// The frame of the views outside of a meeting: mark, content, and the choices
// that people need before they can read anything else.

import { Globe, SunMoon } from 'lucide-react';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { isLanguage, LANGUAGES } from '../../i18n';
import type { Theme } from '../../state/preferences';
import { useApp, usePreferences } from '../app';
import { Button } from '../kit/Button';
import { Choose } from '../kit/Fields';
import { Mark } from './Mark';

export function Shell({ children }: { children: ReactNode }) {
  const { t, i18n } = useTranslation();
  const { config } = useApp();
  const [preferences, prefer] = usePreferences();
  const themes: Theme[] = ['system', 'light', 'dark'];
  return (
    <div className="shell">
      <header className="shell-head">
        <Mark />
        <span className="product">{config.productName}</span>
      </header>
      <main className="shell-main">{children}</main>
      <footer className="shell-foot">
        <Choose
          label={t('common.language')}
          labelHidden
          icon={<Globe aria-hidden />}
          choices={Object.entries(LANGUAGES).map(([id, name]) => ({ id, name }))}
          chosen={i18n.language}
          choose={(id) => isLanguage(id) && prefer({ language: id })}
        />
        <Choose
          label={t('common.appearance')}
          labelHidden
          icon={<SunMoon aria-hidden />}
          choices={themes.map((id) => ({ id, name: t(`settings.${id}`) }))}
          chosen={preferences.theme}
          choose={(id) => prefer({ theme: id as Theme })}
        />
        <Button look="quiet" onPress={() => prefer({ noticeSeen: false })}>
          {t('notice.link')}
        </Button>
      </footer>
    </div>
  );
}
