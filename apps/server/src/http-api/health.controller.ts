import { All, Controller, Inject, Param, Req, Res } from '@nestjs/common';
import { type FastifyReply, type FastifyRequest } from 'fastify';
import { HealthChecker, type Probe, probeText } from './health.js';
import { HTTP_SERVICES, type HttpServices } from './http-services.js';

/** `/health`, `/livez` and `/readyz`, as probes and load balancers of etcd ask them. GET only. */
@Controller()
export class HealthController {
  readonly #checker: HealthChecker;

  constructor(@Inject(HTTP_SERVICES) { methods, state, healthReadTimeoutMs, registry }: HttpServices) {
    this.#checker = new HealthChecker(methods, state, healthReadTimeoutMs, registry);
  }

  @All('health')
  async health(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    if (refusesMethod(request, reply)) return;
    const query = queryOf(request);
    const health = await this.#checker.health(
      new Set(query.getAll('exclude')),
      query.get('serializable') === 'true',
    );
    await reply
      .code(health.health === 'true' ? 200 : 503)
      .type('application/json')
      .send(JSON.stringify(health));
  }

  @All('livez')
  livez(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    return this.#probe('livez', request, reply);
  }

  @All('livez/:check')
  livezCheck(
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
    @Param('check') check: string,
  ): Promise<void> {
    return this.#probe('livez', request, reply, check);
  }

  @All('readyz')
  readyz(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    return this.#probe('readyz', request, reply);
  }

  @All('readyz/:check')
  readyzCheck(
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
    @Param('check') check: string,
  ): Promise<void> {
    return this.#probe('readyz', request, reply, check);
  }

  async #probe(probe: Probe, request: FastifyRequest, reply: FastifyReply, only?: string): Promise<void> {
    if (refusesMethod(request, reply)) return;
    if (only !== undefined && !this.#checker.checkNames(probe).includes(only)) {
      await reply.code(404).type('text/plain; charset=utf-8').send(`there is no check ${only}\n`);
      return;
    }
    const query = queryOf(request);
    const results = await this.#checker.run(probe, new Set(query.getAll('exclude')), only);
    const isWell = results.every(({ problem }) => problem === undefined);
    await reply
      .code(isWell ? 200 : 503)
      .type('text/plain; charset=utf-8')
      .header('x-content-type-options', 'nosniff')
      .send(probeText(results, query.has('verbose')));
  }
}

function refusesMethod(request: FastifyRequest, reply: FastifyReply): boolean {
  if (request.method === 'GET' || request.method === 'HEAD') return false;
  void reply.code(405).header('allow', 'GET').type('text/plain; charset=utf-8').send('Method Not Allowed\n');
  return true;
}

function queryOf(request: FastifyRequest): URLSearchParams {
  const separator = request.url.indexOf('?');
  return new URLSearchParams(separator < 0 ? '' : request.url.slice(separator + 1));
}
