// Which view there is: the way in, the meeting, or its end.
//
//   landing --found--> ready --admitted--> meeting --ended--> ended --again--> ready
//
// A reload during a meeting goes straight back into it: the token is kept for
// this tab, and the server keeps the place for a minute.

import { lazy, Suspense, useEffect, useMemo, useState } from 'react';
import { I18nProvider } from 'react-aria-components';
import { useTranslation } from 'react-i18next';
import { config as askConfig, CONFIG_DEFAULT, type Config, type Found, type Meeting } from '../http/api';
import { locationOfMeeting, meetingOfLocation } from '../http/meetingLink';
import type { EndReason } from '../signalling/connection';
import type { LocalMedia } from '../state/localMedia';
import { browserStorage, type Preferences } from '../state/preferences';
import { Session } from '../state/session';
import type { Store } from '../state/store';
import { forgetCall, recallCall, rememberCall } from '../state/tabMemory';
import { AppContext } from './app';
import { Ended } from './landing/Ended';
import { Landing } from './landing/Landing';
import { Notice } from './landing/Notice';
import { Ready, type Entry } from './landing/Ready';

const loadMeeting = () => import('./meeting/MeetingView');
const MeetingView = lazy(loadMeeting);

type View =
  | { is: 'landing'; meeting: Meeting | null }
  | { is: 'ready'; meeting: Meeting; found: Found }
  | { is: 'meeting'; meeting: Meeting; session: Session }
  | { is: 'ended'; meeting: Meeting; reason: EndReason };

/** The call this tab was in before a reload, gone back into. Once, at the start. */
export function returning(local: LocalMedia, preferences: Store<Preferences>): Session | null {
  const call = recallCall(browserStorage('sessionStorage'), location.pathname, Date.now());
  return call === null ? null : new Session(call.token, { local, preferences, companion: call.companion });
}

function firstView(session: Session | null): View {
  const meeting = meetingOfLocation(location.pathname, location.search);
  return meeting !== null && session !== null ? { is: 'meeting', meeting, session } : { is: 'landing', meeting };
}

interface Props {
  preferences: Store<Preferences>;
  local: LocalMedia;
  session: Session | null;
}

export function App({ preferences, local, session }: Props) {
  const { i18n } = useTranslation();
  const [config, setConfig] = useState<Config>(CONFIG_DEFAULT);
  const [view, setView] = useState<View>(() => firstView(session));
  const parts = useMemo(() => ({ preferences, local, config }), [preferences, local, config]);

  useEffect(() => {
    // Without an answer the defaults stand; joining will tell what is wrong.
    askConfig().then(setConfig, () => undefined);
  }, []);

  useEffect(() => {
    document.title = config.productName;
  }, [config.productName]);

  useEffect(() => {
    const back = () => setView({ is: 'landing', meeting: meetingOfLocation(location.pathname, location.search) });
    window.addEventListener('popstate', back);
    return () => window.removeEventListener('popstate', back);
  }, []);

  const go = (next: View) => {
    const path = next.is === 'landing' && next.meeting === null ? '/' : next.meeting && locationOfMeeting(next.meeting);
    if (path !== null && path !== location.pathname + location.search) history.pushState(null, '', path);
    setView(next);
  };

  const enter = (meeting: Meeting, { token, companion }: Entry) => {
    rememberCall(browserStorage('sessionStorage'), location.pathname, { token, companion }, Date.now());
    go({ is: 'meeting', meeting, session: new Session(token, { local, preferences, companion }) });
  };

  const end = (meeting: Meeting, reason: EndReason) => {
    forgetCall(browserStorage('sessionStorage'));
    local.stop();
    go({ is: 'ended', meeting, reason });
  };

  return (
    <AppContext value={parts}>
      <I18nProvider locale={i18n.language}>
          {view.is === 'landing' && (
            <Landing
              meeting={view.meeting}
              found={(meeting, found) => {
                void loadMeeting();
                go({ is: 'ready', meeting, found });
              }}
            />
          )}
          {view.is === 'ready' && (
            <Ready
              meeting={view.meeting}
              found={view.found}
              enter={(entry) => enter(view.meeting, entry)}
              back={() => {
                local.stop();
                go({ is: 'landing', meeting: null });
              }}
            />
          )}
          {view.is === 'meeting' && (
            <Suspense fallback={null}>
              <MeetingView session={view.session} ended={(reason) => end(view.meeting, reason)} />
            </Suspense>
          )}
          {view.is === 'ended' && (
            <Ended
              reason={view.reason}
              again={() => go({ is: 'landing', meeting: view.meeting })}
              home={() => go({ is: 'landing', meeting: null })}
            />
          )}
          {view.is !== 'meeting' && <Notice />}
      </I18nProvider>
    </AppContext>
  );
}
