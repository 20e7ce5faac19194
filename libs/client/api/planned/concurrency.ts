import type { FencingGate } from '../../src/index.js';

/** Of a TypeORM data source. The table is the one of `fencingTableSql`, made by a migration that this package brings along. */
export declare function typeOrmFencingGate(dataSource: object): FencingGate<object>;
