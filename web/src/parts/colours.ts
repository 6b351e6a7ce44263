// What the style sheet says about colours, for the canvas: Okabe and Ito's, which colour-blind people tell apart.

export function colours(): { grid: string; text: string; lines: string[] } {
  const style = getComputedStyle(document.documentElement);
  const of = (name: string) => style.getPropertyValue(name).trim();
  return { grid: of("--line"), text: of("--quiet"), lines: [0, 1, 2, 3, 4, 5, 6].map((at) => of(`--c${at}`)) };
}
