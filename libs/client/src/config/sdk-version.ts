/** As in package.json; a test compares them. */
export const sdkVersion = '0.1.0';
