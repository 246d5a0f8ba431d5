// Which camera, microphone and loudspeaker, with the loudspeaker test and blur.

import { Mic, Video, Volume2 } from 'lucide-react';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { testSpeaker } from '../../media/audio';
import type { Device } from '../../media/devices';
import { useStore } from '../../state/store';
import { useApp, usePreferences } from '../app';
import { Button } from '../kit/Button';
import { Choose, Toggle, type Choice } from '../kit/Fields';

export function DeviceChoices() {
  const { t } = useTranslation();
  const { local } = useApp();
  const { devices } = useStore(local.state);
  const [{ cameraId, microphoneId, speakerId, blur }, prefer] = usePreferences();
  const [testing, setTesting] = useState(false);

  const choices = (of: Device[]): Choice[] => [
    { id: '', name: t('device.systemDefault') },
    ...of
      .filter((device) => device.id !== 'default')
      .map(({ id, label }, at) => ({ id, name: label || t('device.unnamed', { number: at + 1 }) })),
  ];
  // A device that was chosen once and is not plugged in now.
  const known = (of: Device[], id: string) => (of.some((device) => device.id === id) ? id : '');

  const test = async () => {
    if (testing) return;
    setTesting(true);
    await testSpeaker(speakerId).catch(() => undefined);
    setTesting(false);
  };

  return (
    <>
      <Choose
        label={t('device.camera')}
        icon={<Video aria-hidden />}
        choices={choices(devices.cameras)}
        chosen={known(devices.cameras, cameraId)}
        choose={(id) => prefer({ cameraId: id })}
      />
      <Choose
        label={t('device.microphone')}
        icon={<Mic aria-hidden />}
        choices={choices(devices.microphones)}
        chosen={known(devices.microphones, microphoneId)}
        choose={(id) => prefer({ microphoneId: id })}
      />
      <div className="beside">
        <Choose
          label={t('device.speaker')}
          icon={<Volume2 aria-hidden />}
          choices={choices(devices.speakers)}
          chosen={known(devices.speakers, speakerId)}
          choose={(id) => prefer({ speakerId: id })}
        />
        <Button look="outline" onPress={() => void test()}>
          {testing ? t('device.testing') : t('device.test')}
        </Button>
      </div>
      <Toggle label={t('device.blur')} hint={t('device.blurHint')} on={blur} turn={(on) => prefer({ blur: on })} />
    </>
  );
}
