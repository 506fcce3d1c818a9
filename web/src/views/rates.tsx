// Mean power against inference rate, one colour a mode, with the 95 % interval.
import { si } from "../format/si.ts";
import type { Kpi } from "../api/shapes.ts";
import { kpis } from "../state/bench.ts";

const [WIDTH, HEIGHT, LEFT, BOTTOM] = [640, 240, 70, 28];
const MODES = ["always_on", "event_sleep", "event_reload"];

interface Point {
  readonly mode: string;
  readonly rate: number;
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

export function rates(all: readonly Kpi[]): Point[] {
  const found: Point[] = [];
  for (const kpi of all) {
    const place = /^([a-z_]+)\/r=([0-9.e+-]+)\//.exec(kpi.at);
    if (!place || kpi.value === null || !["power.mean", "power.idle", "power.sleep"].includes(kpi.id)) continue;
    found.push({ mode: place[1] ?? "", rate: Number(place[2]), value: kpi.value, low: kpi.low ?? kpi.value, high: kpi.high ?? kpi.value });
  }
  return found;
}

export function Rates() {
  const points = rates(kpis.value);
  const fastest = Math.max(1, ...points.map((one) => one.rate));
  const largest = Math.max(1e-9, ...points.map((one) => one.high));
  const x = (rate: number): number => LEFT + ((WIDTH - LEFT - 10) * rate) / fastest;
  const y = (power: number): number => (HEIGHT - BOTTOM) * (1 - power / largest) + 5;
  return (
    <figure>
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label="Mean power against inference rate">
        <line x1={LEFT} y1={y(0)} x2={WIDTH - 10} y2={y(0)} class="axis" />
        <line x1={LEFT} y1={y(0)} x2={LEFT} y2={y(largest)} class="axis" />
        <text x={LEFT - 6} y={y(largest) + 6} text-anchor="end">{si(largest, "W", 3)}</text>
        <text x={LEFT - 6} y={y(0)} text-anchor="end">0</text>
        <text x={WIDTH - 10} y={HEIGHT - 6} text-anchor="end">{fastest} /s</text>
        {points.map((one) => (
          <g key={`${one.mode} ${one.rate} ${one.value}`} class={`mode${MODES.indexOf(one.mode)}`}>
            <title>{`${one.mode} at ${one.rate} /s: ${si(one.value, "W")}`}</title>
            <line x1={x(one.rate)} x2={x(one.rate)} y1={y(one.low)} y2={y(one.high)} />
            <circle cx={x(one.rate)} cy={y(one.value)} r={4} />
          </g>
        ))}
      </svg>
      <figcaption>
        Mean power against rate:{" "}
        {MODES.map((mode, k) => (
          <span key={mode} class={`legend mode${k}`}>● {mode.replace("_", "-")} </span>
        ))}
      </figcaption>
    </figure>
  );
}
