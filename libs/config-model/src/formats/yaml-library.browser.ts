import * as yaml from 'yaml';

/** As `yaml-library.ts`, where modules cannot be loaded while code runs. */
export function yamlLibrary(): typeof yaml {
  return yaml;
}
