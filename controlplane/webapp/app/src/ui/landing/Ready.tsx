// Before going in: name, passcode if there is one, and whether camera,
// microphone and loudspeaker do what they should.

import { ArrowLeft, CircleAlert, LoaderCircle } from 'lucide-react';
import { useEffect, useState } from 'react';
import { Form } from 'react-aria-components';
import { useTranslation } from 'react-i18next';
import { join, Refusal, type Found, type Meeting } from '../../http/api';
import { useApp, usePreferences } from '../app';
import { DeviceChoices } from '../devices/DeviceChoices';
import { Preview } from '../devices/Preview';
import { Button } from '../kit/Button';
import { Toggle, Words } from '../kit/Fields';
import { sayRefusal } from './refusals';
import { Shell } from './Shell';

/** Longest name the form takes. */
const NAME_MAX = 100;

export interface Entry {
  token: string;
  companion: boolean;
}

interface Props {
  meeting: Meeting;
  found: Found;
  enter: (entry: Entry) => void;
  back: () => void;
}

type Errors = { name?: string; passcode?: string; form?: string };

/** Which field a refusal is about. */
function placeOf(error: unknown): keyof Errors {
  const code = error instanceof Refusal ? error.code : null;
  return code === 'passcodeRequired' || code === 'passcodeWrong' ? 'passcode' : 'form';
}

export function Ready({ meeting, found, enter, back }: Props) {
  const { t } = useTranslation();
  const { local } = useApp();
  const [{ name }, prefer] = usePreferences();
  const [passcode, setPasscode] = useState('');
  const [passcodeAsked, setPasscodeAsked] = useState(found.passcodeRequired && meeting.secret === undefined);
  const [companion, setCompanion] = useState(false);
  const [joining, setJoining] = useState(false);
  const [errors, setErrors] = useState<Errors>({});

  useEffect(() => {
    if (companion) local.stop();
    else void local.start();
  }, [local, companion]);

  const go = async () => {
    if (joining) return;
    const missing: Errors = {
      ...(name.trim() === '' ? { name: t('common.required') } : {}),
      ...(passcodeAsked && passcode.trim() === '' ? { passcode: t('common.required') } : {}),
    };
    setErrors(missing);
    if (Object.keys(missing).length > 0) return;
    setJoining(true);
    try {
      const { token } = await join(meeting, name.trim(), passcode.trim());
      enter({ token, companion });
    } catch (error) {
      const place = placeOf(error);
      if (place === 'passcode') setPasscodeAsked(true);
      setErrors({ [place]: sayRefusal(t, error) });
      setJoining(false);
    }
  };

  return (
    <Shell>
      <div className="card wide-card">
        <div className="ready-look">{companion ? <div className="preview empty">{t('stage.companion')}</div> : <Preview />}</div>
        {!companion && (
          <div className="ready-devices">
            <DeviceChoices />
          </div>
        )}
        <div className="ready-form">
          <div>
            <h1>{t('ready.title')}</h1>
            <p className="muted-text">{t('ready.joining', { space: found.spaceName })}</p>
          </div>
          <Form
            className="stack"
            onSubmit={(event) => {
              event.preventDefault();
              void go();
            }}
          >
            <Words
              label={t('ready.name')}
              hint={t('ready.nameHint')}
              value={name}
              onChange={(value) => prefer({ name: value })}
              error={errors.name}
              maxLength={NAME_MAX}
              autoComplete="name"
              // eslint-disable-next-line jsx-a11y/no-autofocus -- the first thing to do here
              autoFocus
            />
            {passcodeAsked && (
              <Words
                label={t('ready.passcode')}
                value={passcode}
                onChange={setPasscode}
                error={errors.passcode}
                type="password"
                inputMode="numeric"
                autoComplete="off"
              />
            )}
            <Toggle label={t('ready.companion')} hint={t('ready.companionHint')} on={companion} turn={setCompanion} />
            {errors.form !== undefined && (
              <p className="alert" role="alert">
                <CircleAlert aria-hidden /> {errors.form}
              </p>
            )}
            <Button type="submit" look="primary" className="wide large">
              {joining ? (
                <span role="status" className="waiting">
                  <LoaderCircle className="spin" aria-hidden /> {t('ready.wait')}
                </span>
              ) : (
                t('ready.join')
              )}
            </Button>
            <Button look="quiet" onPress={back}>
              <ArrowLeft className="flip" aria-hidden /> {t('ready.back')}
            </Button>
          </Form>
        </div>
      </div>
    </Shell>
  );
}
