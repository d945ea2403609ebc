// Looks at pages with pa11y (HTML_CodeSniffer, WCAG 2.2 AA) and Lighthouse (accessibility, best practices); writes a line
// of JSON for each finding, and one for each page and person. Its argument names a file of JSON:
// { address, visits: [{ cookies: [{ name, value }], paths: [...] }], ways: [[width, scheme], ...] }
import { readFileSync } from "node:fs";
import lighthouse, { snapshot } from "lighthouse";
import pa11y from "pa11y";
import puppeteer from "puppeteer-core";

const { address, visits, ways } = JSON.parse(readFileSync(process.argv[2], "utf8"));
const LOWEST = 900, HIGHEST = 9000; // a window as high as its page: a bar that stays at its foot would hide what lies under it
const FLAGS = {
  disableFullPageScreenshot: true, disableStorageReset: true, formFactor: "desktop", logLevel: "silent",
  onlyCategories: ["accessibility", "best-practices"], screenEmulation: { disabled: true },
  cpuQuietThresholdMs: 0, networkQuietThresholdMs: 200, pauseAfterFcpMs: 0, pauseAfterLoadMs: 0, // the server is next door
};
const tell = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

const failures = ({ lhr }) => Object.values(lhr.categories).flatMap((category) => category.auditRefs
  .filter(({ id, weight }) => weight && lhr.audits[id].score !== null && lhr.audits[id].score < 1)
  .map(({ id }) => {
    const { title, details } = lhr.audits[id];
    const [first] = details?.items ?? [];
    return { tool: "lighthouse", code: `${category.id}/${id}`, says: title, where: first?.node?.snippet ?? JSON.stringify(first ?? "") };
  }));

// HTML_CodeSniffer does not know that a button may stand elsewhere and name its form.
const hasSubmit = (page, selector) => page.$eval(selector, (form) => [...form.elements].some((each) => each.type === "submit"));

const look = async (browser, page, path, place) => {
  const [width, scheme] = ways[place], found = [];
  await page.setViewport({ width, height: LOWEST });
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }, { name: "prefers-reduced-motion", value: "reduce" }]);
  await page.goto(address + path, { waitUntil: "load" });
  const high = await page.evaluate(() => document.documentElement.scrollHeight);
  await page.setViewport({ width, height: Math.max(LOWEST, Math.min(high, HIGHEST)) });
  if (place === 0) { // what does not depend on width and colours is asked once, while the page loads
    found.push(...failures(await lighthouse(address + path, FLAGS, undefined, page)));
  } else {
    found.push(...failures(await snapshot(page, { flags: { ...FLAGS, onlyCategories: ["accessibility"] } })));
  }
  const { issues } = await pa11y(address + path, { browser, page, ignoreUrl: true, standard: "WCAG2AA", timeout: 60000 });
  for (const { code, message, context, selector } of issues) {
    if (!code.endsWith("H32.2") || !await hasSubmit(page, selector)) found.push({ tool: "pa11y", code, says: message, where: context });
  }
  for (const each of found) tell({ path, way: `${width} ${scheme}`, ...each });
};

const browser = await puppeteer.launch({
  executablePath: process.env.CHROME_PATH, args: ["--no-sandbox", "--disable-dev-shm-usage"],
});
for (const { cookies, paths } of visits) {
  const context = await browser.createBrowserContext();
  const page = await context.newPage();
  await context.setCookie(...cookies.map((each) => ({ ...each, domain: new URL(address).hostname, path: "/" })));
  for (const path of paths) {
    const begun = performance.now();
    for (const place of ways.keys()) await look(browser, page, path, place);
    tell({ path, ms: Math.round(performance.now() - begun) });
  }
  await context.close();
}
await browser.close();
