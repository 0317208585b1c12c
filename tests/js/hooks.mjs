// Lets `react` and `react-dom` mean the version that is tested, also for the client's own import.

const root = new URL(process.env.REACT === "18" ? "./react18/" : "./", import.meta.url).href;

export function resolve(specifier, context, next) {
  const react = /^react(-dom)?(\/|$)/.test(specifier) && !context.parentURL?.includes("/node_modules/");
  return next(specifier, react ? { ...context, parentURL: `${root}here.mjs` } : context);
}
