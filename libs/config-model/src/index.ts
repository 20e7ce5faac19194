export * from './error.js';
export {
  type DocumentFormat,
  documentFormats,
  familyOf,
  type FormatFamily,
  type ParsedDocument,
  parseDocument,
  renderDocument,
} from './formats/document.js';
export { flatten, unflatten, valueAt } from './formats/flatten.js';
export { joinPath, pathSegment, splitPath } from './formats/path.js';
export { type AddressBlock, contains, parseBlock } from './gray/address.js';
export { bucketOf, buckets, isInShare } from './gray/bucket.js';
export { checkGrayRule, type GrayMatch, type GrayPercentage } from './gray/gray-rule.js';
export { chooseGray, type InstanceTraits, matches } from './gray/match.js';
export {
  type ConfigKey,
  currentKey,
  grayKey,
  type InstanceId,
  instanceKey,
  instancesPrefix,
  type NamespaceId,
  namespacePrefix,
  parseKey,
  releaseKey,
} from './keyspace/keys.js';
export { checkedName, decodeSegment, encodeSegment, isName } from './keyspace/names.js';
export { formatRef, type NamespaceRef, parseRef } from './keyspace/namespace-ref.js';
export { decodeNumber, encodeNumber } from './keyspace/number.js';
export { type EffectiveDocument, overlay, type OverlayLayer } from './overlay.js';
export { type CurrentRow, decodeCurrent, encodeCurrent } from './rows/current-row.js';
export { type DocumentHead } from './rows/document-head.js';
export { decodeGray, encodeGray, type GrayRow } from './rows/gray-row.js';
export {
  type AppliedRelease,
  decodeInstance,
  encodeInstance,
  type InstanceRow,
} from './rows/instance-row.js';
export { type Publication, publicationRows, type PublishedDocument, type Row } from './rows/publication.js';
export { decodeRelease, encodeRelease, type ReleaseRow } from './rows/release-row.js';
export { rowVersion } from './rows/row-reader.js';
export {
  formatSealed,
  isKeyId,
  isSealed,
  parseSealed,
  sealedPlace,
  type SealedText,
} from './secrets/sealed-text.js';
export { type ConfigTree, type ConfigValue, isTree, sameValue } from './value.js';
