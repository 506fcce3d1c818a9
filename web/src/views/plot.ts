// Plots over one time axis: a channel's band and mean, and the tracks of marker and lines.
import uPlot from "uplot";
import { axisLabels, decadeLabels } from "../format/si.ts";
import { UNITS, type Channel, type Value } from "../live/channels.ts";
import type { Columns } from "../live/columns.ts";
import { spans, thresholdOf } from "../live/tracks.ts";
import { valueRange, type Range } from "../live/zoom.ts";
import { colour } from "../state/theme.ts";

const SYNC = "live";
export const RIGHT = 24; // room for half of the last time
const LEFT = 76; // the width of the value axis: all plots stand under each other
const LABEL = 18; // of the axis' name, left of it
/** Where the plotted part begins, in px from the left of the box. */
export const INSET = LEFT + LABEL;
const PLOT_HEIGHT = 130;
const TIME_HEIGHT = 34;
const TRACK_HEIGHT = 20;
const LEAST_WIDTH = 200;

export interface Acts {
  readonly zoom: (range: Range) => void;
  readonly pick: (t_s: number, second: boolean) => void;
  /** share: of the plotted width; null when the pointer has left. */
  readonly hover: (share: number | null) => void;
}

/** Instants that are marked on every plot, in s. cross: the keyboard's crosshair. */
export interface Cursor {
  readonly a: number | null;
  readonly b: number | null;
  readonly cross: number | null;
}

const NO_CURSOR: Cursor = { a: null, b: null, cross: null };

export class ChannelPlot {
  private readonly plot: uPlot;
  private readonly channel: Value;
  private readonly box: HTMLElement;
  private readonly log: boolean;
  private cursor = NO_CURSOR;

  constructor(box: HTMLElement, channel: Value, log: boolean, acts: Acts) {
    [this.box, this.channel, this.log] = [box, channel, log];
    const labels = log ? decadeLabels : axisLabels;
    const axis = { ...ink(), size: LEFT, label: channel, labelSize: LABEL, values: (_: uPlot, ticks: number[]) => labels(ticks, UNITS[channel]) };
    const range = (_: uPlot, low: number | null, high: number | null): [number, number] => valueRange(low, high, log);
    this.plot = new uPlot(
      {
        ...common(box, PLOT_HEIGHT, acts),
        scales: { x: { time: false }, y: { distr: log ? 3 : 1, range } },
        axes: [{ ...ink(), size: 0, values: () => [] }, axis],
        series: [{}, { stroke: "transparent" }, { stroke: "transparent" }, { stroke: colour("line"), width: 1.2 }],
        bands: [{ series: [2, 1], fill: colour("band") }],
        hooks: { ...common(box, PLOT_HEIGHT, acts).hooks, draw: [(plot) => paintCursor(plot, this.cursor, true)] },
      },
      [[], [], [], []],
      box,
    );
    picking(this.plot, acts);
  }

  show(columns: Columns, range: Range, cursor: Cursor): void {
    this.cursor = cursor;
    fit(this.plot, this.box, PLOT_HEIGHT);
    const band = columns.bands[this.channel];
    const empty = columns.t.map(() => null);
    const least = this.log ? leastPositive(band?.mean ?? []) : null;
    const drawn = (cells?: readonly (number | null)[]): (number | null)[] => (least === null ? [...(cells ?? empty)] : (cells ?? empty).map((cell) => cell && Math.max(cell, least)));
    this.plot.batch(() => {
      this.plot.setData([columns.t, drawn(band?.low), drawn(band?.high), drawn(band?.mean)], true);
      this.plot.setScale("x", { min: range.from_s, max: range.to_s });
    });
  }

  destroy(): void {
    this.plot.destroy();
  }
}

/** Under the channels, with the time axis of all of them. */
export class TracksPlot {
  private readonly plot: uPlot;
  private readonly box: HTMLElement;
  private readonly height: number;
  private columns: Columns | null = null;
  private highest_v = 0;
  private cursor = NO_CURSOR;

  constructor(box: HTMLElement, tracks: readonly Channel[], acts: Acts) {
    this.box = box;
    this.height = tracks.length * TRACK_HEIGHT + TIME_HEIGHT;
    const rows = Math.max(1, tracks.length);
    const axis = { ...ink(), size: LEFT, label: " ", labelSize: LABEL, grid: { show: false }, ticks: { show: false } };
    this.plot = new uPlot(
      {
        ...common(box, this.height, acts),
        scales: { x: { time: false }, y: { range: [0, rows] } },
        axes: [
          { ...ink(), size: TIME_HEIGHT, values: (_: uPlot, ticks: number[]) => axisLabels(ticks, "s") },
          { ...axis, splits: () => tracks.map((_, row) => rows - row - 0.5), values: () => [...tracks] },
        ],
        series: [{}, { stroke: "transparent" }],
        hooks: { ...common(box, this.height, acts).hooks, draw: [(plot) => this.paint(plot, tracks), (plot) => paintCursor(plot, this.cursor, false)] },
      },
      [[], []],
      box,
    );
    picking(this.plot, acts);
  }

  show(columns: Columns, range: Range, cursor: Cursor & { readonly highest_v: number }): void {
    [this.columns, this.cursor, this.highest_v] = [columns, cursor, cursor.highest_v];
    fit(this.plot, this.box, this.height);
    this.plot.batch(() => {
      this.plot.setData([columns.t, columns.t.map(() => null)], true);
      this.plot.setScale("x", { min: range.from_s, max: range.to_s });
    });
  }

  destroy(): void {
    this.plot.destroy();
  }

  private paint(plot: uPlot, tracks: readonly Channel[]): void {
    if (!this.columns) return;
    const { ctx, bbox } = plot;
    const row_px = bbox.height / Math.max(1, tracks.length);
    const room = 0.18 * row_px;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    tracks.forEach((channel, row) => {
      const [top, bottom] = [bbox.top + row * row_px + room, bbox.top + (row + 1) * row_px - room];
      for (const { from_s, to_s, level } of spans(this.columns as Columns, channel, thresholdOf(channel, this.highest_v))) {
        const [left, right] = [plot.valToPos(from_s, "x", true), plot.valToPos(to_s, "x", true)];
        ctx.fillStyle = level === "both" ? colour("band") : colour("line");
        if (level === "low") ctx.fillRect(left, bottom - 1, right - left, 1);
        else ctx.fillRect(left, top, Math.max(1, right - left), bottom - top);
      }
    });
    ctx.restore();
  }
}

function ink(): { stroke: string; grid: uPlot.Axis.Grid; ticks: uPlot.Axis.Ticks } {
  const grid = { stroke: colour("grid"), width: 1 };
  return { stroke: colour("text"), grid, ticks: grid };
}

function common(box: HTMLElement, height: number, acts: Acts): Pick<uPlot.Options, "width" | "height" | "legend" | "cursor" | "hooks" | "padding"> {
  const select = (plot: uPlot): void => {
    const { left, width } = plot.select;
    if (width > 4) acts.zoom({ from_s: plot.posToVal(left, "x"), to_s: plot.posToVal(left + width, "x") });
    plot.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
  };
  return {
    width: Math.max(LEAST_WIDTH, box.clientWidth),
    height,
    padding: [8, RIGHT, 4, 0],
    legend: { show: false },
    cursor: { sync: { key: SYNC }, drag: { x: true, y: false, setScale: false }, points: { show: false } },
    hooks: { setSelect: [select] },
  };
}

function picking(plot: uPlot, acts: Acts): void {
  const left = (event: MouseEvent): number => event.clientX - plot.over.getBoundingClientRect().left;
  plot.over.addEventListener("click", (event) => acts.pick(plot.posToVal(left(event), "x"), event.shiftKey));
  plot.over.addEventListener("mousemove", (event) => acts.hover(left(event) / Math.max(1, plot.over.clientWidth)));
  plot.over.addEventListener("mouseleave", () => acts.hover(null));
}

/** A and B as lines, with their names where there is room, what lies between them shaded; the keyboard's crosshair dashed. */
function paintCursor(plot: uPlot, { a, b, cross }: Cursor, named: boolean): void {
  if (a === null && b === null && cross === null) return;
  const { ctx, bbox } = plot;
  const x = (t_s: number): number => Math.round(plot.valToPos(t_s, "x", true));
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  if (a !== null && b !== null) {
    ctx.fillStyle = colour("between");
    ctx.fillRect(x(Math.min(a, b)), bbox.top, Math.abs(x(b) - x(a)), bbox.height);
  }
  [ctx.strokeStyle, ctx.fillStyle, ctx.lineWidth] = [colour("mark"), colour("mark"), 1.5 * uPlot.pxRatio];
  [ctx.font, ctx.textBaseline] = [`bold ${12 * uPlot.pxRatio}px system-ui, sans-serif`, "top"];
  const gap = 4 * uPlot.pxRatio;
  for (const [name, t_s] of [["A", a], ["B", b], ["", cross]] as const) {
    if (t_s === null) continue;
    ctx.setLineDash(name ? [] : [gap, gap]);
    ctx.beginPath();
    ctx.moveTo(x(t_s), bbox.top);
    ctx.lineTo(x(t_s), bbox.top + bbox.height);
    ctx.stroke();
    if (!named) continue;
    const turned = x(t_s) > bbox.left + bbox.width - 5 * gap;
    ctx.textAlign = turned ? "right" : "left";
    ctx.fillText(name, x(t_s) + (turned ? -gap : gap), bbox.top + gap / 2);
  }
  ctx.restore();
}

function fit(plot: uPlot, box: HTMLElement, height: number): void {
  const width = Math.max(LEAST_WIDTH, box.clientWidth);
  if (width !== plot.width) plot.setSize({ width, height });
}

/** On a log axis what is zero or below lies on the floor, a decade under the least mean above zero. */
function leastPositive(means: readonly (number | null)[]): number {
  let least = Infinity;
  for (const mean of means) if (mean !== null && mean > 0 && mean < least) least = mean;
  return Number.isFinite(least) ? least / 10 : 1e-12;
}
