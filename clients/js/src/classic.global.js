import { WS4Redis } from './classic.js';

Object.assign(globalThis, { WS4Redis });
