// One channel over time: the band between lowest and highest, and the mean.
import uPlot from "uplot";
import { UNITS, type Channel } from "../live/channels.ts";
import type { Columns } from "../live/columns.ts";
import type { Range } from "../live/zoom.ts";
import { axisLabels } from "../format/si.ts";
import { colour } from "../state/theme.ts";

const HEIGHT = 150;
const SYNC = "live";

export class ChannelPlot {
  private readonly plot: uPlot;
  private readonly channel: Channel;
  private readonly box: HTMLElement;

  constructor(box: HTMLElement, channel: Channel, zoom: (range: Range) => void, pick: (t_s: number, second: boolean) => void) {
    this.box = box;
    this.channel = channel;
    const line = colour("line");
    const axis = { stroke: colour("text"), grid: { stroke: colour("grid"), width: 1 }, ticks: { stroke: colour("grid"), width: 1 } };
    const options: uPlot.Options = {
      width: Math.max(200, box.clientWidth),
      height: HEIGHT,
      legend: { show: false },
      cursor: { sync: { key: SYNC }, drag: { x: true, y: false, setScale: false } },
      scales: { x: { time: false } },
      axes: [
        { ...axis, values: (_: uPlot, ticks: number[]) => axisLabels(ticks, "s") },
        { ...axis, size: 72, label: channel, labelSize: 18, values: (_: uPlot, ticks: number[]) => axisLabels(ticks, UNITS[channel]) },
      ],
      series: [{}, { stroke: "transparent" }, { stroke: "transparent" }, { stroke: line, width: 1.2 }],
      bands: [{ series: [2, 1], fill: colour("band") }],
      hooks: {
        setSelect: [
          (plot) => {
            if (plot.select.width > 4) {
              zoom({ from_s: plot.posToVal(plot.select.left, "x"), to_s: plot.posToVal(plot.select.left + plot.select.width, "x") });
            }
            plot.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
          },
        ],
      },
    };
    this.plot = new uPlot(options, [[], [], [], []], box);
    this.plot.over.addEventListener("click", (event) => pick(this.plot.posToVal(event.offsetX, "x"), event.shiftKey));
  }

  show(columns: Columns, range: Range): void {
    const width = Math.max(200, this.box.clientWidth);
    if (width !== this.plot.width) this.plot.setSize({ width, height: HEIGHT });
    const band = columns.bands[this.channel];
    const empty = columns.t.map(() => null);
    this.plot.batch(() => {
      this.plot.setData([columns.t, band?.low ?? empty, band?.high ?? empty, band?.mean ?? empty], true);
      this.plot.setScale("x", { min: range.from_s, max: range.to_s });
    });
  }

  destroy(): void {
    this.plot.destroy();
  }
}
