// Mounts the page.
import { render } from "preact";
import { effect } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { refused, useToken } from "./api/token.ts";
import { benchName, news, status } from "./state/bench.ts";
import { frames } from "./state/live.ts";
import { switchOff } from "./state/stop.ts";
import { nextTheme, theme } from "./state/theme.ts";
import { Banner } from "./views/banner.tsx";
import { follow } from "./state/view.ts";
import { keyed } from "./views/keys.ts";
import { Live } from "./views/live.tsx";
import { Notices } from "./views/notices.tsx";
import { Queue } from "./views/queue.tsx";
import { Run } from "./views/run.tsx";

function connect(): void {
  news.open();
  frames.open();
}

/** News may be silent for long, so that only the frames tell a dead connection: once they are back, news begin anew, with the status. */
function followFrames(): () => void {
  let gone = false;
  return effect(() => {
    const link = frames.state.value;
    if (gone && link === "open") news.open();
    gone = link === "lost";
  });
}

function Page() {
  useEffect(() => {
    connect();
    document.addEventListener("keydown", keyed);
    const [end, away] = [follow(), followFrames()];
    return () => {
      away();
      end();
      document.removeEventListener("keydown", keyed);
    };
  }, []);
  return (
    <>
      <header>
        <h1>{benchName.value || "labd"}</h1>
        <span class="quiet">{status.value.in_use_by || "idle"}</span>
        <button type="button" onClick={nextTheme}>Colours: {theme.value}</button>
        <button type="button" class="off" onClick={() => void switchOff()}>
          Outputs off
        </button>
      </header>
      {refused.value && <Token />}
      <Banner />
      <main>
        <Live />
        <Notices />
        <div class="columns">
          <Queue />
          <Run />
        </div>
      </main>
    </>
  );
}

function Token() {
  const enter = (event: SubmitEvent): void => {
    event.preventDefault();
    useToken(String(new FormData(event.target as HTMLFormElement).get("token") ?? ""));
    connect();
  };
  return (
    <form onSubmit={enter}>
      <label>
        Token <input name="token" type="password" autocomplete="off" />
      </label>
      <button type="submit">Enter</button>
    </form>
  );
}

const root = document.getElementById("page");
if (root) render(<Page />, root);
