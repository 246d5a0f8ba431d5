// What opens over the meeting: settings, the list of shortcuts, calling somebody.

import { useState } from 'react';
import { Form, Tab, TabList, TabPanel, Tabs } from 'react-aria-components';
import { useTranslation } from 'react-i18next';
import { isLanguage, LANGUAGES } from '../../i18n';
import type { Definition, Optimise } from '../../media/encodings';
import type { Theme } from '../../state/preferences';
import { usePreferences } from '../app';
import { DeviceChoices } from '../devices/DeviceChoices';
import { Preview } from '../devices/Preview';
import { Button } from '../kit/Button';
import { Sheet } from '../kit/Dialogs';
import { Choose, ChooseInSight, Toggle, Words } from '../kit/Fields';
import { isApple, SHORTCUTS, written, type Shortcut } from './shortcuts';

interface Props {
  open: boolean;
  close: () => void;
}

export function SettingsSheet({ open, close, companion }: Props & { companion: boolean }) {
  const { t, i18n } = useTranslation();
  const [preferences, prefer] = usePreferences();
  return (
    <Sheet title={t('settings.title')} open={open} close={close} width={560}>
      <Tabs className="tabs">
        <TabList className="tab-list" aria-label={t('settings.title')}>
          {!companion && (
            <Tab id="devices" className="tab">
              {t('settings.devices')}
            </Tab>
          )}
          <Tab id="picture" className="tab">
            {t('settings.picture')}
          </Tab>
          <Tab id="general" className="tab">
            {t('settings.general')}
          </Tab>
        </TabList>
        {!companion && (
          <TabPanel id="devices" className="tab-panel">
            <Preview />
            <DeviceChoices />
          </TabPanel>
        )}
        <TabPanel id="picture" className="tab-panel">
          <ChooseInSight
            label={t('settings.definition')}
            choices={[
              { id: 'hd', name: t('settings.hd') },
              { id: 'sd', name: t('settings.sd') },
            ]}
            chosen={preferences.definition}
            choose={(id) => prefer({ definition: id as Definition })}
          />
          <ChooseInSight
            label={t('settings.optimise')}
            choices={[
              { id: 'text', name: t('settings.text') },
              { id: 'motion', name: t('settings.motion') },
            ]}
            chosen={preferences.optimise}
            choose={(id) => prefer({ optimise: id as Optimise })}
          />
          <Toggle label={t('settings.selfView')} on={preferences.selfView} turn={(selfView) => prefer({ selfView })} />
          <Toggle label={t('settings.mirror')} on={preferences.mirror} turn={(mirror) => prefer({ mirror })} />
        </TabPanel>
        <TabPanel id="general" className="tab-panel">
          <Choose
            label={t('settings.language')}
            choices={Object.entries(LANGUAGES).map(([id, name]) => ({ id, name }))}
            chosen={i18n.language}
            choose={(id) => isLanguage(id) && prefer({ language: id })}
          />
          <ChooseInSight
            label={t('settings.theme')}
            choices={(['system', 'light', 'dark'] as const).map((id) => ({ id, name: t(`settings.${id}`) }))}
            chosen={preferences.theme}
            choose={(id) => prefer({ theme: id as Theme })}
          />
          <Toggle label={t('settings.chimes')} on={preferences.chimes} turn={(chimes) => prefer({ chimes })} />
        </TabPanel>
      </Tabs>
    </Sheet>
  );
}

export function ShortcutsSheet({ open, close }: Props) {
  const { t } = useTranslation();
  return (
    <Sheet title={t('shortcuts.title')} open={open} close={close}>
      <dl className="shortcuts">
        {(Object.keys(SHORTCUTS) as Shortcut[]).map((shortcut) => (
          <div key={shortcut}>
            <dt>{t(`shortcuts.${shortcut}`)}</dt>
            <dd>
              <kbd dir="ltr">{written(shortcut, isApple())}</kbd>
            </dd>
          </div>
        ))}
      </dl>
      <p className="hint">{t('shortcuts.hint')}</p>
    </Sheet>
  );
}

export function AddSheet({ open, close, add }: Props & { add: (uri: string) => void }) {
  const { t } = useTranslation();
  const [address, setAddress] = useState('');
  const [error, setError] = useState<string>();
  const done = () => {
    setAddress('');
    setError(undefined);
    close();
  };
  return (
    <Sheet title={t('people.addTitle')} open={open} close={done}>
      <Form
        className="stack"
        onSubmit={(event) => {
          event.preventDefault();
          const typed = address.trim();
          if (typed === '') {
            setError(t('common.required'));
            return;
          }
          add(/^sips?:/i.test(typed) ? typed : `sip:${typed}`);
          done();
        }}
      >
        <Words
          label={t('people.addField')}
          hint={t('people.addHint')}
          value={address}
          onChange={setAddress}
          error={error}
          inputMode="email"
          plain
          autoComplete="off"
          // eslint-disable-next-line jsx-a11y/no-autofocus -- the dialog is for this field
          autoFocus
        />
        <div className="dialog-foot">
          <Button onPress={done}>{t('common.cancel')}</Button>
          <Button type="submit" look="primary">
            {t('people.addDo')}
          </Button>
        </div>
      </Form>
    </Sheet>
  );
}
