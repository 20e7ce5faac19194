/** An address or a block of addresses: those whose first `prefix` bits are those of `bits`. */
export interface AddressBlock {
  /** 32 or 128. */
  readonly width: number;
  readonly bits: bigint;
  readonly prefix: number;
}

/** `10.0.0.1`, `10.0.0.0/8`, `fd00::/8`, …; undefined for anything else. IPv4 in IPv6 (`::ffff:10.0.0.1`) is taken as IPv4. */
export function parseBlock(text: string): AddressBlock | undefined {
  const [address = '', length, ...rest] = text.split('/');
  const found = parseAddress(address);
  if (found === undefined || rest.length > 0) return undefined;
  if (length === undefined) return found;
  if (!/^\d{1,3}$/.test(length)) return undefined;
  const prefix = Number(length);
  if (prefix > found.width) return undefined;
  const hostBits = (1n << BigInt(found.width - prefix)) - 1n;
  return (found.bits & hostBits) === 0n ? { ...found, prefix } : undefined;
}

export function contains(block: AddressBlock, address: AddressBlock): boolean {
  if (block.width !== address.width || address.prefix < block.prefix) return false;
  const shift = BigInt(block.width - block.prefix);
  return block.bits >> shift === address.bits >> shift;
}

function parseAddress(text: string): AddressBlock | undefined {
  const four = parseIpv4(text);
  if (four !== undefined) return { width: 32, bits: four, prefix: 32 };
  const six = parseIpv6(text);
  if (six === undefined) return undefined;
  if (six >> 32n === 0xffffn) return { width: 32, bits: six & 0xffffffffn, prefix: 32 };
  return { width: 128, bits: six, prefix: 128 };
}

function parseIpv4(text: string): bigint | undefined {
  const parts = text.split('.');
  if (parts.length !== 4 || !parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) < 256))
    return undefined;
  return parts.reduce((bits, part) => (bits << 8n) | BigInt(part), 0n);
}

function parseIpv6(text: string): bigint | undefined {
  const sides = text.replace(/%.*$/, '').split('::');
  if (sides.length > 2) return undefined;
  const groups = sides.map((side) => (side === '' ? [] : groupsOf(side)));
  const [left, right] = groups;
  if (left === undefined || groups.includes(undefined)) return undefined;
  const missing = 8 - left.length - (right?.length ?? 0);
  if (right === undefined ? missing !== 0 : missing < 1) return undefined;
  const all = [...left, ...Array.from({ length: missing }, () => 0n), ...(right ?? [])];
  return all.reduce((bits, group) => (bits << 16n) | group, 0n);
}

/** Groups of 16 bits; the last two may be written as an IPv4 address. */
function groupsOf(side: string): bigint[] | undefined {
  const groups: bigint[] = [];
  const parts = side.split(':');
  for (const [index, part] of parts.entries()) {
    const four = index === parts.length - 1 ? parseIpv4(part) : undefined;
    if (four !== undefined) groups.push(four >> 16n, four & 0xffffn);
    else if (/^[0-9a-fA-F]{1,4}$/.test(part)) groups.push(BigInt(`0x${part}`));
    else return undefined;
  }
  return groups;
}
