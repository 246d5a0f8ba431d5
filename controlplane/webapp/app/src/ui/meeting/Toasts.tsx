// News as it comes. The list is a live region: what is seen is also said.

import { X } from 'lucide-react';
import { Button } from 'react-aria-components';
import { useTranslation } from 'react-i18next';
import { useStore } from '../../state/store';
import type { News } from './news';

export function Toasts({ news }: { news: News }) {
  const { t } = useTranslation();
  const items = useStore(news.items);
  return (
    <div className="toasts" role="log" aria-live="polite" aria-relevant="additions">
      {items.map(({ id, text }) => (
        <div key={id} className="toast">
          <span className="toast-text">{text}</span>
          <Button className="toast-close" aria-label={t('common.dismiss')} onPress={() => news.dismiss(id)}>
            <X aria-hidden />
          </Button>
        </div>
      ))}
    </div>
  );
}
