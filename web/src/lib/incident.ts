// The page as one file: with its figures as they are, without scripts and without what is secret.
import { time } from "./time.ts";

/** Addresses and names of machines do not leave this one. */
const SECRET = /\b(?:https?:\/\/)?(?:\d{1,3}\.){3}\d{1,3}(?::\d+)?\b|\[[0-9a-f:]+\](?::\d+)?/gi;

export async function saveIncident(): Promise<boolean> {
  try {
    const style = document.querySelector<HTMLLinkElement>("link[rel=stylesheet]");
    const css = style ? await (await fetch(style.href)).text() : "";
    const blob = new Blob([file(css)], { type: "text/html" });
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = `inferometer-${new Date().toISOString().slice(0, 19).replaceAll(":", "")}.html`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
    return true;
  } catch {
    return false;
  }
}

function file(css: string): string {
  const copy = document.querySelector("main")?.cloneNode(true) as HTMLElement;
  const drawn = [...document.querySelectorAll<HTMLCanvasElement>("main canvas")];
  // A clone of a canvas is empty.
  copy.querySelectorAll("canvas").forEach((canvas, at) => {
    const image = document.createElement("img");
    image.src = drawn[at]?.toDataURL() ?? "";
    image.alt = "";
    image.width = drawn[at]?.clientWidth ?? 0;
    image.height = drawn[at]?.clientHeight ?? 0;
    canvas.replaceWith(image);
  });
  copy.querySelectorAll("button, select, input, .tools, .csv").forEach((part) => part.remove());
  copy.querySelectorAll("a").forEach((link) => link.removeAttribute("href"));
  const walk = document.createTreeWalker(copy, NodeFilter.SHOW_TEXT);
  for (let node = walk.nextNode(); node; node = walk.nextNode()) {
    node.nodeValue = (node.nodeValue ?? "").replace(SECRET, "(address)");
  }
  for (const part of copy.querySelectorAll("*")) {
    for (const name of ["title", "aria-label", "data-why"]) {
      const text = part.getAttribute(name);
      if (text) part.setAttribute(name, text.replace(SECRET, "(address)"));
    }
  }
  const page = document.implementation.createHTMLDocument(`${document.title}, ${time(Date.now())}`);
  const [charset, policy, sheet, head] = ["meta", "meta", "style", "p"].map((name) => page.createElement(name)) as
    [HTMLMetaElement, HTMLMetaElement, HTMLStyleElement, HTMLElement];
  charset.setAttribute("charset", "utf-8");
  policy.httpEquiv = "Content-Security-Policy";
  policy.content = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";
  sheet.textContent = css;
  head.className = "banner";
  head.textContent = `${document.title} at ${new Date().toISOString()}, saved with its figures. Addresses are left out.`;
  page.head.prepend(charset, policy, sheet);
  page.body.append(head, copy);
  return `<!doctype html>\n${page.documentElement.outerHTML}`;
}
