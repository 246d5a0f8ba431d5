// The frame of a panel beside the stage; over it on a narrow screen. Opening it
// takes the focus there; `MeetingView` gives it back.

import { X } from 'lucide-react';
import { useEffect, useId, useRef, type ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { IconButton } from '../kit/Button';

interface Props {
  title: string;
  close: () => void;
  /** Beside the title. */
  tools?: ReactNode;
  children: ReactNode;
}

export function Panel({ title, close, tools, children }: Props) {
  const { t } = useTranslation();
  const heading = useRef<HTMLHeadingElement>(null);
  const id = useId();
  useEffect(() => {
    // What is inside may have taken the focus for itself.
    if (!heading.current?.closest('aside')?.contains(document.activeElement)) heading.current?.focus();
  }, []);
  return (
    // Escape closes it, from wherever in it the focus is.
    // eslint-disable-next-line jsx-a11y/no-noninteractive-element-interactions
    <aside
      className="panel"
      aria-labelledby={id}
      onKeyDown={(event) => {
        if (event.key === 'Escape' && !event.defaultPrevented) close();
      }}
    >
      <div className="panel-head">
        <h2 id={id} ref={heading} tabIndex={-1}>
          {title}
        </h2>
        {tools}
        <IconButton look="quiet" label={t('common.close')} onPress={close}>
          <X aria-hidden />
        </IconButton>
      </div>
      {children}
    </aside>
  );
}
