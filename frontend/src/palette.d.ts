/** Colours with a meaning, from `src/neurolysis/report/palette.py` at build time. */
declare module "palette" {
  const colours: { nerve: string; lesion: string; isotherm: string; danger: string };
  export default colours;
}
