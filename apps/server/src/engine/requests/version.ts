/** What Status and `/version` present: clients parse it as semver and switch features on by it. */
export const serverVersion = '3.6.0';

/** Version of the storage schema that is presented; the formats of our own files carry their own versions. */
export const storageVersion = '3.6.0';

/** The cluster version that a new cluster agrees on. */
export const clusterVersion = '3.6.0';
