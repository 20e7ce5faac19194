import {
  type CallHandler,
  type CanActivate,
  Controller,
  type ExecutionContext,
  Get,
  Injectable,
  type NestInterceptor,
  Param,
  ParseIntPipe,
  Post,
  SetMetadata,
  UseGuards,
  UseInterceptors,
} from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { map, type Observable } from 'rxjs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type LockHandle } from '../../concurrency/mutex.js';
import { NotLeaderError } from '../../errors.js';
import { WithLock } from '../locks/with-lock.js';
import { HeldLock } from '../methods/marked-parameters.js';
import { NestWorld } from '../methods/testing/nest-world.js';
import { Connections } from '../module/connections.js';
import { type ConclaveModuleOptions } from '../module/options.js';
import { LeaderGuard } from './leader-guard.js';

@Controller('admin')
@UseGuards(LeaderGuard('admin', { redirectToLeader: true }))
class AdminController {
  @Get('jobs/:id')
  job(@Param('id') id: string): string {
    return `job ${id}`;
  }

  @Post('jobs')
  begin(): string {
    return 'begun';
  }
}

@Controller('plain')
class PlainController {
  @Get()
  @UseGuards(LeaderGuard('admin', { retryAfter: 7 }))
  unavailable(): string {
    return 'fine';
  }

  @Get('teapot')
  @UseGuards(LeaderGuard('admin', { status: 418 }))
  teapot(): string {
    return 'fine';
  }
}

@Injectable()
class RolesGuard implements CanActivate {
  constructor(private readonly reflector: Reflector) {}
  canActivate(context: ExecutionContext): boolean {
    return this.reflector.get<string>('role', context.getHandler()) === 'admin';
  }
}

@Injectable()
class Shouting implements NestInterceptor {
  intercept(_context: ExecutionContext, next: CallHandler<string>): Observable<string> {
    return next.handle().pipe(map((text) => text.toUpperCase()));
  }
}

@Controller('invoices')
class InvoiceController {
  @Get(':id/pay/:amount')
  @WithLock((id: number) => `invoice/${id}`)
  @SetMetadata('role', 'admin')
  @UseGuards(RolesGuard)
  @UseInterceptors(Shouting)
  async pay(
    @Param('id', ParseIntPipe) id: number,
    @HeldLock() handle: LockHandle | undefined,
    @Param('amount', ParseIntPipe) amount: number,
  ): Promise<string> {
    return Promise.resolve(`${typeof id} ${id} ${typeof amount} ${amount} ${String(handle?.isHeld())}`);
  }
}

let world: NestWorld;
let applications: NestFastifyApplication[];
beforeEach(() => {
  world = new NestWorld();
  applications = [];
});
afterEach(async () => {
  for (const application of applications) await world.close(application);
});

async function serve(options: Partial<ConclaveModuleOptions> = {}): Promise<NestFastifyApplication> {
  const controllers = [AdminController, PlainController, InvoiceController];
  const module = await world.compile({ controllers }, options);
  const application = module.createNestApplication<NestFastifyApplication>(new FastifyAdapter(), {
    logger: world.logs,
  });
  await application.init();
  await application.getHttpAdapter().getInstance().ready();
  await world.clock.settle();
  applications.push(application);
  return application;
}

describe('LeaderGuard', () => {
  it('lets requests of the leader pass, and redirects those of a follower with path, query and method', async () => {
    const leader = await serve({ elections: { advertiseUrl: 'http://leader:3000/api/' } });
    const follower = await serve({ elections: { advertiseUrl: 'http://follower:3000' } });
    expect((await leader.inject('/admin/jobs/7')).body).toBe('job 7');
    const answer = await follower.inject('/admin/jobs/7?x=1&y=%2F');
    expect(answer.statusCode).toBe(307);
    expect(answer.headers['location']).toBe('http://leader:3000/api/admin/jobs/7?x=1&y=%2F');
    const posted = await follower.inject({ method: 'POST', url: '/admin/jobs', payload: { a: 1 } });
    expect([posted.statusCode, posted.headers['location']]).toEqual([
      307,
      'http://leader:3000/api/admin/jobs',
    ]);
  });

  it('never redirects to another host than the leader, whatever the path', async () => {
    await serve({ elections: { advertiseUrl: 'http://leader:3000' } });
    const follower = await serve();
    const answer = await follower.inject('/admin/jobs/..%2f%2fevil.example');
    expect(new URL(answer.headers['location'] ?? '').host).toBe('leader:3000');
  });

  it('answers with a status and when to try again, where it does not redirect or does not know where to', async () => {
    await serve(); // proclaims host and process, which is no URL
    const follower = await serve();
    for (const [path, status, retryAfter] of [
      ['/plain', 503, '7'],
      ['/plain/teapot', 418, undefined],
      ['/admin/jobs/1', 503, '1'],
    ] as const) {
      const answer = await follower.inject(path);
      expect([answer.statusCode, answer.headers['retry-after']]).toEqual([status, retryAfter]);
      expect(answer.json()).toMatchObject({
        statusCode: status,
        message: "this instance does not lead 'admin'",
      });
    }
  });

  it('takes part in the election that only it names, and passes with the leadership', async () => {
    const leader = await serve();
    const follower = await serve();
    await world.close(leader);
    applications.shift();
    expect((await follower.inject('/plain')).body).toBe('fine');
  });

  it('throws outside of HTTP, and refuses a status that is no error', async () => {
    await serve();
    const follower = await serve();
    const guard = new (LeaderGuard('admin'))(follower.get(Connections), {});
    const context = { getType: () => 'rpc' } as unknown as ExecutionContext;
    expect(() => guard.canActivate(context)).toThrow(NotLeaderError);
    expect(() => LeaderGuard('admin', { status: 200 })).toThrow(/400 to 599/);
  });
});

describe('@WithLock on a controller', () => {
  it('leaves guards, interceptors, pipes and parameters as they are', async () => {
    const application = await serve();
    expect((await application.inject('/invoices/7/pay/30')).body).toBe('NUMBER 7 NUMBER 30 TRUE');
    expect((await application.inject('/invoices/x/pay/30')).statusCode).toBe(400);
  });
});
