import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface KeyPair {
  readonly cert: string;
  readonly key: string;
}

/** A certificate authority for one test run, made with the OpenSSL command line. */
export class TestAuthority {
  readonly certificate: string;

  constructor(private readonly folder: string) {
    const subject = ['-subj', '/CN=conclave test authority', '-days', '2', '-nodes'];
    const files = ['-keyout', this.#file('ca.key'), '-out', this.#file('ca.pem')];
    openssl([
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:prime256v1',
      ...subject,
      ...files,
    ]);
    this.certificate = readFileSync(this.#file('ca.pem'), 'utf8');
  }

  get certificatePath(): string {
    return this.#file('ca.pem');
  }

  /**
   * A key pair for `commonName`, valid as server at localhost and 127.0.0.1 (or at `names`) and as client, for `days`
   * (default 2; less than 0: expired).
   */
  issue(commonName: string, { names = 'DNS:localhost,IP:127.0.0.1', days = 2 } = {}): KeyPair {
    const name = commonName.replace(/\W/g, '-');
    const extensions = this.#file(`${name}.ext`);
    writeFileSync(extensions, `subjectAltName=${names}\nextendedKeyUsage=serverAuth,clientAuth\n`);
    const request = [
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:prime256v1',
      '-nodes',
      '-subj',
      `/CN=${commonName}`,
    ];
    openssl(['req', ...request, '-keyout', this.#file(`${name}.key`), '-out', this.#file(`${name}.csr`)]);
    const authority = ['-CA', this.#file('ca.pem'), '-CAkey', this.#file('ca.key'), '-CAcreateserial'];
    const files = [
      '-in',
      this.#file(`${name}.csr`),
      '-out',
      this.#file(`${name}.pem`),
      '-extfile',
      extensions,
    ];
    openssl(['x509', '-req', '-days', String(days), ...authority, ...files]);
    return {
      cert: readFileSync(this.#file(`${name}.pem`), 'utf8'),
      key: readFileSync(this.#file(`${name}.key`), 'utf8'),
    };
  }

  #file(name: string): string {
    return join(this.folder, name);
  }
}

function openssl(args: readonly string[]): void {
  const { status, stderr } = spawnSync('openssl', [...args], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`openssl ${args[0]} failed: ${stderr}`);
}
