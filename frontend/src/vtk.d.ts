/** The library ships no types for this filter. */
declare module "@kitware/vtk.js/Filters/General/ImageMarchingCubes" {
  interface Cubes {
    setInputData(data: unknown): void;
    getOutputPort(): unknown;
  }
  const filter: { newInstance(values: { contourValue: number; computeNormals: boolean; mergePoints: boolean }): Cubes };
  export default filter;
}
