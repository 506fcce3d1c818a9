// Mean power against inference rate: dots with their 95 % interval, the fitted lines, and the same as a table.
import { useEffect, useRef, useState } from "preact/hooks";
import { MODES, type Curve, type Dot, type Mode } from "../figures/curves.ts";
import { ticks } from "../figures/ticks.ts";
import { figure } from "../format/figure.ts";
import { axisLabels } from "../format/si.ts";

const LEFT = 68; // of the width: power labels
const [TOP, RIGHT, BOTTOM] = [10, 16, 40];
const [LEAST_WIDTH, TICK_WIDTH, TICK_HEIGHT] = [240, 80, 45];
const CAP = 4; // half the width of an error bar's ends
const R = 4.5; // of a dot
const VARIANTS = 3; // curves of one mode that are told apart

interface Frame {
  readonly width: number;
  readonly height: number;
  readonly x: (rate_hz: number) => number;
  readonly y: (power_w: number) => number;
  readonly rates: readonly number[];
  readonly powers: readonly number[];
}

export function Rates({ curves }: { readonly curves: readonly Curve[] }) {
  const [box, width] = useWidth();
  const frame = framed(curves, width);
  return (
    <figure class="rates">
      <figcaption>
        <h3>Mean power against rate</h3>
        <span class="bar">
          {curves.map((curve) => (
            <span key={curve.key} class={`legend ${look(curves, curve)}`}>
              <svg class="key" viewBox="-8 -8 16 16" aria-hidden="true"><Shape mode={curve.mode} /></svg>
              {curve.label}
            </span>
          ))}
        </span>
      </figcaption>
      <div ref={box}>
        <svg viewBox={`0 0 ${frame.width} ${frame.height}`} width={frame.width} height={frame.height} role="img" aria-label={said(curves)}>
          <Axes frame={frame} />
          {curves.map((curve) => (
            <g key={curve.key} class={look(curves, curve)} data-curve={curve.key}>
              {curve.line && <Fit curve={curve} frame={frame} />}
              {curve.dots.map((dot) => <Point key={dot.figure.at + dot.figure.captures.join()} curve={curve} dot={dot} frame={frame} />)}
            </g>
          ))}
        </svg>
      </div>
      <Table curves={curves} />
    </figure>
  );
}

/** The box's own width, so that text has the size of text however wide it is. */
function useWidth() {
  const box = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(LEAST_WIDTH);
  useEffect(() => {
    if (!box.current) return undefined;
    const seen = new ResizeObserver(([entry]) => setWidth(Math.max(LEAST_WIDTH, Math.floor(entry?.contentRect.width ?? 0))));
    seen.observe(box.current);
    return () => seen.disconnect();
  }, []);
  return [box, width] as const;
}

function framed(curves: readonly Curve[], width: number): Frame {
  const height = Math.round(Math.min(360, Math.max(230, width * 0.5)));
  const dots = curves.flatMap((curve) => curve.dots);
  const rates = ticks(Math.max(0, ...dots.map((dot) => dot.rate_hz)), (width - LEFT) / TICK_WIDTH);
  const powers = ticks(Math.max(0, ...dots.map((dot) => dot.high_w ?? dot.power_w)), (height - BOTTOM) / TICK_HEIGHT);
  const [fastest, largest] = [rates.at(-1) ?? 1, powers.at(-1) ?? 1];
  const x = (rate_hz: number): number => LEFT + ((width - LEFT - RIGHT) * rate_hz) / fastest;
  const y = (power_w: number): number => height - BOTTOM - ((height - BOTTOM - TOP) * power_w) / largest;
  return { width, height, x, y, rates, powers };
}

function Axes({ frame: { width, height, x, y, rates, powers } }: { readonly frame: Frame }) {
  const [bottom, right] = [height - BOTTOM, width - RIGHT];
  const names = axisLabels(powers, "W");
  return (
    <g aria-hidden="true">
      {powers.map((power, k) => (
        <g key={power}>
          <line class={k ? "grid" : "axis"} x1={LEFT} x2={right} y1={y(power)} y2={y(power)} />
          <text x={LEFT - 10} y={y(power)} dy="0.35em" text-anchor="end">{names[k]}</text>
        </g>
      ))}
      {rates.map((rate, k) => (
        <g key={rate}>
          <line class={k ? "grid" : "axis"} x1={x(rate)} x2={x(rate)} y1={TOP} y2={bottom} />
          <text x={x(rate)} y={bottom + 16} text-anchor="middle">{rate}</text>
        </g>
      ))}
      <text x={(LEFT + right) / 2} y={height - 6} text-anchor="middle">inferences per second</text>
    </g>
  );
}

/** Over the rates that were measured: beyond them the line is a guess. */
function Fit({ curve, frame: { x, y } }: { readonly curve: Curve; readonly frame: Frame }) {
  const { floor_w, incremental_j } = curve.line ?? { floor_w: 0, incremental_j: 0 };
  const [from, to] = [curve.dots[0]?.rate_hz ?? 0, curve.dots.at(-1)?.rate_hz ?? 0];
  return <line class="fit" x1={x(from)} y1={y(floor_w + from * incremental_j)} x2={x(to)} y2={y(floor_w + to * incremental_j)} />;
}

function Point({ curve, dot, frame: { x, y } }: { readonly curve: Curve; readonly dot: Dot; readonly frame: Frame }) {
  const at = x(dot.rate_hz);
  return (
    <g>
      <title>{`${curve.label} at ${rate(dot)}: ${printed(dot)}`}</title>
      {dot.low_w !== null && dot.high_w !== null && (
        <path class="bar95" d={`M${at} ${y(dot.low_w)}V${y(dot.high_w)}M${at - CAP} ${y(dot.low_w)}h${2 * CAP}M${at - CAP} ${y(dot.high_w)}h${2 * CAP}`} />
      )}
      <g transform={`translate(${at} ${y(dot.power_w)})`}><Shape mode={curve.mode} /></g>
    </g>
  );
}

/** As in the report: no mode is told by its colour alone. */
function Shape({ mode }: { readonly mode: Mode }) {
  const paths: Record<Mode, string> = {
    always_on: `M${R} 0A${R} ${R} 0 1 1 ${-R} 0A${R} ${R} 0 1 1 ${R} 0Z`,
    event_sleep: `M-4 -4H4V4H-4Z`,
    event_reload: `M0 -5L5 4H-5Z`,
    event_gated: `M0 -5.5L5.5 0L0 5.5L-5.5 0Z`,
  };
  return <path class="dot" d={paths[mode]} />;
}

function Table({ curves }: { readonly curves: readonly Curve[] }) {
  return (
    <details>
      <summary>Mean power as a table</summary>
      <table>
        <thead>
          <tr><th scope="col">curve</th><th scope="col">rate</th><th scope="col">power ± U95</th></tr>
        </thead>
        <tbody>
          {curves.flatMap((curve) =>
            curve.dots.map((dot) => (
              <tr key={dot.figure.at + dot.figure.captures.join()}>
                <th scope="row">{curve.label}</th>
                <td class="number">{rate(dot)}</td>
                <td class="number">{printed(dot)}</td>
              </tr>
            )),
          )}
        </tbody>
      </table>
    </details>
  );
}

function look(curves: readonly Curve[], curve: Curve): string {
  const same = curves.filter((one) => one.mode === curve.mode).indexOf(curve);
  return `mode${MODES.indexOf(curve.mode)} variant${same % VARIANTS}`;
}

function said(curves: readonly Curve[]): string {
  const each = curves.map((curve) => `${curve.label}: ${curve.dots.map((dot) => `${printed(dot)} at ${rate(dot)}`).join(", ")}`);
  return `Mean power against inference rate. ${each.join(". ")}`;
}

function rate(dot: Dot): string {
  return `${Number(dot.rate_hz.toPrecision(4))} /s`;
}

function printed(dot: Dot): string {
  const { value, u95, unit } = figure(dot.figure);
  return [value, u95, unit].filter(Boolean).join(" ");
}
