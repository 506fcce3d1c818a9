// Mounts the page.
import { render } from "preact";

const root = document.getElementById("page");
if (root) render(<main><h1>labd</h1></main>, root);
