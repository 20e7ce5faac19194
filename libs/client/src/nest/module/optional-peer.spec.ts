import { describe, expect, it } from 'vitest';
import { optionalPeer } from './optional-peer.js';

describe('optionalPeer', () => {
  it('loads what is installed, packages of ES modules too, as the same module that is imported', async () => {
    const required: { ConfigService: unknown } = optionalPeer('@nestjs/config', 'ConfigService');
    const imported = await import('@nestjs/config');
    expect(required.ConfigService).toBe(imported.ConfigService);
  });

  it('names what to install', () => {
    expect(() => optionalPeer('@nestjs/not-there', 'nothing')).toThrow(
      'install @nestjs/not-there to use nothing',
    );
  });
});
