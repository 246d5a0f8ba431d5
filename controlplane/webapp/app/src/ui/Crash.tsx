// What is shown when a view throws: not an empty page. The cause goes to the console.

import { Component, type ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { Button } from './kit/Button';

function Crashed() {
  const { t } = useTranslation();
  return (
    <main className="crash" role="alert">
      <h1>{t('crash.title')}</h1>
      <p className="muted-text">{t('crash.text')}</p>
      <Button look="primary" onPress={() => location.reload()}>
        {t('crash.reload')}
      </Button>
    </main>
  );
}

export class CrashBarrier extends Component<{ children: ReactNode }, { crashed: boolean }> {
  override state = { crashed: false };

  static getDerivedStateFromError(): { crashed: boolean } {
    return { crashed: true };
  }

  override render() {
    return this.state.crashed ? <Crashed /> : this.props.children;
  }
}
