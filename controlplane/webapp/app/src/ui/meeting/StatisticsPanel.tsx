// The figures behind the quality indicator, for whoever has to find out why.

import type { TFunction } from 'i18next';
import { useTranslation } from 'react-i18next';
import type { Flow, Sample } from '../../media/stats';
import type { Session } from '../../state/session';
import { useStore } from '../../state/store';
import { Panel } from './Panel';

type Row = readonly [name: string, value: string];

const STREAMS = ['audio', 'video', 'content'] as const;

/** Rows for the figures that there are. */
function rows(pairs: readonly (readonly [string, string | null])[]): Row[] {
  return pairs.filter((pair): pair is Row => pair[1] !== null);
}

function milliseconds(t: TFunction, value: number | null): string | null {
  return value === null ? null : t('statistics.ms', { value: Math.round(value) });
}

function percent(t: TFunction, share: number | null): string | null {
  return share === null ? null : t('statistics.percent', { value: Math.round(share * 1000) / 10 });
}

function rate(t: TFunction, bitsPerSecond: number | null): string | null {
  return bitsPerSecond === null ? null : t('statistics.kbps', { value: Math.round(bitsPerSecond / 1000) });
}

function limitOf(t: TFunction, limit: string | null): string | null {
  if (limit === null) return null;
  return limit === 'cpu' || limit === 'bandwidth' ? t(`statistics.limit.${limit}`) : t('statistics.limit.other');
}

function flowRows(t: TFunction, flow: Flow): Row[] {
  return rows([
    [t('statistics.rate'), rate(t, flow.bitsPerSecond)],
    [t('statistics.codec'), flow.codec],
    [
      t('statistics.size'),
      flow.width === null || flow.height === null ? null : t('statistics.dimensions', { width: flow.width, height: flow.height }),
    ],
    [t('statistics.frames'), flow.framesPerSecond === null ? null : String(Math.round(flow.framesPerSecond))],
    [t('statistics.layers'), flow.layers > 1 ? String(flow.layers) : null],
    [t('statistics.loss'), percent(t, flow.loss)],
    [t('statistics.jitter'), milliseconds(t, flow.jitterMs)],
    [t('statistics.concealed'), percent(t, flow.concealed)],
    [t('statistics.limitedBy'), limitOf(t, flow.limitedBy)],
  ]);
}

function connectionRows(t: TFunction, sample: Sample): Row[] {
  const protocol = sample.transport?.toUpperCase() ?? null;
  return rows([
    [t('statistics.roundTrip'), milliseconds(t, sample.roundTripMs)],
    [t('statistics.available'), rate(t, sample.availableOutgoingBitsPerSecond)],
    [
      t('statistics.transport'),
      protocol === null ? null : t(sample.relayed ? 'statistics.relayed' : 'statistics.direct', { protocol }),
    ],
  ]);
}

export function StatisticsPanel({ session, close }: { session: Session; close: () => void }) {
  const { t } = useTranslation();
  const { sample, quality } = useStore(session.state);
  return (
    <Panel title={t('statistics.title')} close={close}>
      {/* Scrolls by arrow keys. */}
      {/* eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex */}
      <div className="figures" tabIndex={0} role="group" aria-label={t('statistics.title')}>
        {sample === null ? (
          <p className="muted-text">{t('statistics.none')}</p>
        ) : (
          <>
            <p className="hint">{t('statistics.caption')}</p>
            <Figures
              title={t('statistics.connection')}
              rows={[[t('statistics.quality'), t(`statistics.${quality.shown}`)], ...connectionRows(t, sample)]}
            />
            {(['receive', 'send'] as const).flatMap((way) =>
              STREAMS.map((stream) => {
                const flow = sample[way][stream];
                if (flow === null || (stream === 'content' && flow.bitsPerSecond === 0)) return null;
                const title = `${t(`statistics.${stream}`)} · ${way === 'send' ? t('statistics.sent') : t('statistics.received')}`;
                return <Figures key={`${way}/${stream}`} title={title} rows={flowRows(t, flow)} />;
              }),
            )}
          </>
        )}
      </div>
    </Panel>
  );
}

function Figures({ title, rows }: { title: string; rows: Row[] }) {
  return (
    <section className="figure-group">
      <h3>{title}</h3>
      <dl>
        {rows.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}
