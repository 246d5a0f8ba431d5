// After the meeting: why it ended, and where to go.

import { useTranslation } from 'react-i18next';
import { useEffect, useRef } from 'react';
import type { EndReason } from '../../signalling/connection';
import { Button } from '../kit/Button';
import { Shell } from './Shell';

/** Ends after which coming back is likely to work. */
const COMING_BACK: readonly EndReason[] = ['left', 'lost', 'replaced', 'tokenInvalid', 'serverStops', 'ended'];

interface Props {
  reason: EndReason;
  again: () => void;
  home: () => void;
}

export function Ended({ reason, again, home }: Props) {
  const { t } = useTranslation();
  const title = useRef<HTMLHeadingElement>(null);
  // The view has changed under the reader: begin where it begins.
  useEffect(() => {
    title.current?.focus();
  }, []);
  const back = COMING_BACK.includes(reason);
  return (
    <Shell>
      <div className="card narrow centred">
        <h1 ref={title} tabIndex={-1}>
          {t(`ended.${reason}`)}
        </h1>
        {reason === 'lost' && <p className="muted-text">{t('ended.lostHint')}</p>}
        <div className="stack">
          {back && (
            <Button look="primary" className="wide large" onPress={again}>
              {t('ended.again')}
            </Button>
          )}
          <Button look={back ? 'quiet' : 'primary'} className="wide large" onPress={home}>
            {t('ended.home')}
          </Button>
        </div>
      </div>
    </Shell>
  );
}
