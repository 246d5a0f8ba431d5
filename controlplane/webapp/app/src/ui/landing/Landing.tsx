// Which meeting: typed, or named by the page's address.

import { ArrowRight, CircleAlert, LoaderCircle } from 'lucide-react';
import { useEffect, useState } from 'react';
import { Form } from 'react-aria-components';
import { useTranslation } from 'react-i18next';
import { lookup, type Found, type Meeting } from '../../http/api';
import { meetingOfText } from '../../http/meetingLink';
import { useApp } from '../app';
import { Button } from '../kit/Button';
import { Words } from '../kit/Fields';
import { sayRefusal } from './refusals';
import { Shell } from './Shell';

interface Props {
  /** What the address asks for, if anything. */
  meeting: Meeting | null;
  found: (meeting: Meeting, found: Found) => void;
}

export function Landing({ meeting: asked, found }: Props) {
  const { t } = useTranslation();
  const { config } = useApp();
  const [typed, setTyped] = useState(asked?.callId ?? asked?.uri ?? '');
  const [error, setError] = useState<string>();
  const [looking, setLooking] = useState(asked !== null);

  const look = async (meeting: Meeting | null) => {
    if (looking) return;
    if (meeting === null) {
      setError(typed.trim() === '' ? t('common.required') : t('refusal.notFound'));
      return;
    }
    setLooking(true);
    setError(undefined);
    try {
      found(meeting, await lookup(meeting));
    } catch (refused) {
      setError(sayRefusal(t, refused));
      setLooking(false);
    }
  };

  useEffect(() => {
    if (asked === null) return;
    let wanted = true;
    lookup(asked).then(
      (answer) => wanted && found(asked, answer),
      (refused: unknown) => {
        if (!wanted) return;
        setError(sayRefusal(t, refused));
        setLooking(false);
      },
    );
    return () => {
      wanted = false;
    };
    // A link is followed once, whatever else changes.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [asked]);

  const label = config.resolveUris === 'off' ? 'landing.fieldIdOnly' : config.resolveCallIds ? 'landing.field' : 'landing.fieldUriOnly';
  return (
    <Shell>
      <div className="card narrow">
        <h1>{t('landing.title')}</h1>
        <p className="muted-text">{t('landing.lead')}</p>
        {config.allowUnauthenticatedGuests ? (
          <Form
            className="stack"
            onSubmit={(event) => {
              event.preventDefault();
              void look(meetingOfText(typed, config));
            }}
          >
            <Words
              label={t(label)}
              hint={t('landing.hint')}
              value={typed}
              onChange={(value) => {
                setTyped(value);
                setError(undefined);
              }}
              error={error}
              autoComplete="off"
              plain
              // eslint-disable-next-line jsx-a11y/no-autofocus -- it is the only thing to do here
              autoFocus
            />
            <Button type="submit" look="primary" className="wide large">
              {looking ? (
                <span role="status" className="waiting">
                  <LoaderCircle className="spin" aria-hidden /> {t('landing.looking')}
                </span>
              ) : (
                <>
                  {t('landing.continue')} <ArrowRight className="flip" aria-hidden />
                </>
              )}
            </Button>
          </Form>
        ) : (
          <p className="alert warn">
            <CircleAlert aria-hidden /> {t('landing.noGuests')}
          </p>
        )}
      </div>
    </Shell>
  );
}
