import { Controller, Get, Inject, Res } from '@nestjs/common';
import { type FastifyReply } from 'fastify';
import { type Exposition } from '../metrics/exposition.js';
import { HTTP_SERVICES, type HttpServices } from './http-services.js';

/** `/version`, `/metrics` and `/debug/vars`. */
@Controller()
export class StatusController {
  #exposition: Promise<Exposition> | undefined;

  constructor(@Inject(HTTP_SERVICES) private readonly services: HttpServices) {}

  @Get('version')
  async version(@Res() reply: FastifyReply): Promise<void> {
    const { state, serverVersion } = this.services;
    const versions = {
      etcdserver: serverVersion,
      etcdcluster: state.clusterVersion() ?? 'not_decided',
      storage: state.storageVersion() ?? 'unknown',
    };
    await reply.type('application/json').send(JSON.stringify(versions));
  }

  @Get('metrics')
  async metrics(@Res() reply: FastifyReply): Promise<void> {
    this.#exposition ??= import('../metrics/exposition.js').then(
      ({ Exposition }) => new Exposition(this.services.registry),
    );
    const exposition = await this.#exposition;
    await reply.type(exposition.contentType).send(await exposition.render());
  }

  /** What Go's expvar shows everywhere, with this process's figures. The command line has no secrets: flags name files. */
  @Get('debug/vars')
  async variables(@Res() reply: FastifyReply): Promise<void> {
    const { rss, heapTotal, heapUsed, external } = process.memoryUsage();
    const variables = {
      cmdline: this.services.commandLine,
      memstats: { rss, heapTotal, heapUsed, external },
    };
    await reply.type('application/json; charset=utf-8').send(JSON.stringify(variables));
  }
}
