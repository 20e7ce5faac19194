import { describe, expect, it } from 'vitest';
import { CommandFormatError, CommandKind, decodeCommand, encodeCommand, Proposer } from './command.js';

const example = '01010000000000000001000000000000000200000000000' + '30a0161120162';

describe('command', () => {
  it('is encoded as the example in its description', () => {
    const payload = Buffer.from('0a0161120162', 'hex');
    expect(encodeCommand(CommandKind.Put, new Proposer(1n, 2n), 3, payload).toString('hex')).toBe(example);
  });

  it('is decoded as the example in its description', () => {
    const data = Buffer.from(example, 'hex');
    const command = decodeCommand(data);
    expect(command).toMatchObject({ kind: CommandKind.Put, member: 1n, boot: 2n, sequence: 3 });
    expect(command.payload.toString('hex')).toBe('0a0161120162');
  });

  it('keeps full 64-bit identities', () => {
    const identity = { member: 2n ** 64n - 1n, boot: 2n ** 63n };
    const proposer = new Proposer(identity.member, identity.boot);
    const data = encodeCommand(CommandKind.Txn, proposer, 2 ** 48 - 1, new Uint8Array());
    expect(decodeCommand(data)).toMatchObject({ ...identity, sequence: 2 ** 48 - 1 });
  });

  it('refuses what it cannot read', () => {
    expect(() => decodeCommand(new Uint8Array(23))).toThrow(CommandFormatError);
    const newer = Buffer.from(example, 'hex');
    newer[0] = 2;
    expect(() => decodeCommand(newer)).toThrow(/format 2/);
    const unknown = Buffer.from(example, 'hex');
    unknown[1] = 200;
    expect(() => decodeCommand(unknown)).toThrow(/kind 200/);
  });
});
