// What must not be missed, under the header: a stop, standing alarms, a lost guard, a daemon that is not heard.
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { duration } from "../format/si.ts";
import { alarms } from "../state/bench.ts";
import { frames, sampled_ms } from "../state/live.ts";
import { stop } from "../state/stop.ts";
import { message } from "../state/tell.ts";

export function Banner() {
  return (
    <div class="banners">
      {stop.value && (
        <p key={stop.value.text} role="alert" class={stop.value.kind === "not off" ? "loud" : "good"}>
          {stop.value.text} {stop.value.kind === "off" && <Dismiss done={() => (stop.value = null)} />}
        </p>
      )}
      {alarms.value.map((text) => (
        <p key={text} role="alert" class="loud">{text}</p>
      ))}
      {frames.state.value === "lost" && <Unheard />}
      {message.value && (
        <p key={message.value.n} role="alert" class={message.value.bad ? "warn" : "good"}>
          {message.value.text} <Dismiss done={() => (message.value = null)} />
        </p>
      )}
    </div>
  );
}

function Dismiss({ done }: { readonly done: () => void }) {
  return <button type="button" class="dismiss" aria-label="Dismiss" onClick={done}>×</button>;
}

const now_ms = signal(0);

/** Only the fact is an alert: an age that counts up would be read out every second. */
function Unheard() {
  useEffect(() => {
    const tick = (): void => void (now_ms.value = performance.now());
    tick();
    const timer = window.setInterval(tick, 1000);
    return () => window.clearInterval(timer);
  }, []);
  return (
    <p class="loud" data-testid="unheard">
      <span role="alert">The daemon is not heard; what is shown is old. Trying again.</span>{" "}
      {sampled_ms.value !== null && <span>Last sample {duration(Math.max(0, Math.round((now_ms.value - sampled_ms.value) / 1000)))} ago.</span>}
    </p>
  );
}
