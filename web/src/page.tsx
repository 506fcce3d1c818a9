// Mounts the page.
import { render } from "preact";
import { useEffect } from "preact/hooks";
import { request } from "./api/request.ts";
import { refused, useToken } from "./api/token.ts";
import { benchName, news, status } from "./state/bench.ts";
import { frames } from "./state/live.ts";
import { message, told } from "./state/tell.ts";
import { nextTheme, theme } from "./state/theme.ts";
import { follow, keyed, Live } from "./views/live.tsx";
import { Queue } from "./views/queue.tsx";
import { Run } from "./views/run.tsx";

function connect(): void {
  news.open();
  frames.open();
}

function Page() {
  useEffect(() => {
    connect();
    document.addEventListener("keydown", keyed);
    const end = follow();
    return () => {
      end();
      document.removeEventListener("keydown", keyed);
    };
  }, []);
  return (
    <>
      <header>
        <h1>{benchName.value || "labd"}</h1>
        <span class="quiet">{status.value.in_use_by || "idle"}</span>
        {status.value.guard === false && <span class="warn">the guard is lost</span>}
        <button type="button" onClick={nextTheme}>Colours: {theme.value}</button>
        <button type="button" class="off" onClick={() => void told(() => request("POST", "/bench/off"), "outputs are off; the queue is paused")}>
          Outputs off
        </button>
      </header>
      {refused.value && <Token />}
      {message.value && <p role="alert" class={message.value.bad ? "warn" : "good"}>{message.value.text}</p>}
      <main>
        <Live />
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
