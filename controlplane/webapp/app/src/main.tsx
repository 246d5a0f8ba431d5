// Where the app starts.

import './styles/base.css';
import './styles/kit.css';
import './styles/start.css';
import { createRoot } from 'react-dom/client';
import { I18nextProvider } from 'react-i18next';
import { makeTranslator, pickLanguage, speak } from './i18n';
import { blurBackground } from './media/blur';
import { LocalMedia } from './state/localMedia';
import { browserStorage, openPreferences } from './state/preferences';
import { App, returning } from './ui/App';
import { CrashBarrier } from './ui/Crash';
import { followTheme } from './ui/theme';

async function start(): Promise<void> {
  const root = document.getElementById('root');
  if (root === null) throw new Error('the page has no root');
  const preferences = openPreferences(browserStorage('localStorage'));
  followTheme(preferences);
  const translator = makeTranslator();
  const language = () => pickLanguage(preferences.get().language, navigator.languages);
  let spoken = language();
  await speak(translator, spoken);
  preferences.subscribe(() => {
    if (language() === spoken) return;
    spoken = language();
    void speak(translator, spoken);
  });
  const local = new LocalMedia(preferences, blurBackground);
  const session = returning(local, preferences);
  createRoot(root).render(
    <I18nextProvider i18n={translator}>
      <CrashBarrier>
        <App preferences={preferences} local={local} session={session} />
      </CrashBarrier>
    </I18nextProvider>,
  );
}

void start();
