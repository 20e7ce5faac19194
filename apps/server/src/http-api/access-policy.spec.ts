import { describe, expect, it } from 'vitest';
import { AccessPolicy, type AccessRules } from './access-policy.js';

const decide = (
  rules: Partial<AccessRules>,
  host: string | undefined,
  origin?: string,
  isTls = false,
): string => {
  const policy = new AccessPolicy({
    cors: [],
    hostWhitelist: [],
    ownHosts: ['db.internal'],
    isLoopbackOnly: true,
    ...rules,
  });
  const decision = policy.decide({ host, origin, isTls });
  return decision.kind === 'allowed' ? `allowed ${decision.allowOrigin ?? '-'}` : decision.kind;
};

describe('AccessPolicy', () => {
  it('takes loopback names, addresses and own names on a loopback listener, and no other names', () => {
    for (const host of [
      'localhost:2379',
      '127.0.0.1:2379',
      '[::1]:2379',
      '10.0.0.7',
      'DB.internal:2379',
      undefined,
    ]) {
      expect([host, decide({}, host)]).toEqual([host, 'allowed -']);
    }
    for (const host of ['evil.example', 'evil.example:2379', 'localhost.evil.example']) {
      expect([host, decide({}, host)]).toEqual([host, 'wrong-host']);
    }
  });

  it('takes every name elsewhere, unless a list says otherwise; TLS is not restricted', () => {
    expect(decide({ isLoopbackOnly: false }, 'any.example')).toBe('allowed -');
    expect(decide({ isLoopbackOnly: false, hostWhitelist: ['a.example'] }, 'any.example')).toBe('wrong-host');
    expect(decide({ isLoopbackOnly: false, hostWhitelist: ['a.example'] }, 'A.example:1')).toBe('allowed -');
    expect(decide({ hostWhitelist: ['*'] }, 'any.example')).toBe('allowed -');
    expect(decide({}, 'any.example', undefined, true)).toBe('allowed -');
  });

  it('takes pages of this machine and of this member itself, and no others', () => {
    expect(decide({}, 'localhost:2379', 'http://localhost:3000')).toBe('allowed http://localhost:3000');
    expect(decide({}, 'db.internal:2379', 'http://db.internal:2379')).toBe('allowed http://db.internal:2379');
    expect(decide({ isLoopbackOnly: false }, '10.0.0.7:2379', 'http://10.0.0.7:2379')).toBe(
      'allowed http://10.0.0.7:2379',
    );
    expect(decide({}, 'localhost:2379', 'http://evil.example')).toBe('wrong-origin');
    expect(decide({}, 'localhost:2379', 'null')).toBe('wrong-origin');
    expect(decide({ isLoopbackOnly: false }, '10.0.0.7:2379', 'http://6.6.6.6')).toBe('wrong-origin');
  });

  it('is not fooled by a foreign name that resolves to this member', () => {
    expect(decide({ isLoopbackOnly: false }, 'evil.example:2379', 'http://evil.example:2379')).toBe(
      'wrong-origin',
    );
  });

  it('takes exactly the listed origins once there is a list, and all with a star', () => {
    const cors = ['https://app.example/'];
    expect(decide({ cors }, 'localhost', 'https://app.example')).toBe('allowed https://app.example');
    expect(decide({ cors }, 'localhost', 'http://localhost:3000')).toBe('wrong-origin');
    expect(decide({ cors: ['*'] }, 'localhost', 'http://evil.example')).toBe('allowed *');
  });
});
