// Samovar's Node.js runtime client: fetches events, calls the handler, posts what came of it.
//
// Two sets of rules live side by side, chosen by the function's runtime id. Up to nodejs22.x handlers
// may answer through callbacks and an invocation may end when the event loop runs empty; from
// nodejs24.x on only the handler's promise counts.
'use strict';

const fs = require('fs');
const { Connection } = require('./_samovar_connection.js');
const { current, logError, patch } = require('./_samovar_console.js');
const errors = require('./_samovar_errors.js');
const { load } = require('./_samovar_loader.js');

const FIRST_MODERN = 24;
const EXIT_REJECTION = 128;
const EXIT_EXCEPTION = 129;
const STREAMING = Symbol.for('aws.lambda.runtime.handler.streaming');
const HIGH_WATER_MARK = Symbol.for('aws.lambda.runtime.handler.streaming.highWaterMark');

class Runtime {
  constructor(connection, modern) {
    this.connection = connection;
    this.modern = modern;
    this.handler = null;
    this.ready = false;
    this.dying = false;
    this.whenIdle = () => {};
    this.unsent = null;
  }

  async start(root, name) {
    this.handler = await load(root, name, this.modern);
    const mark = this.handler[STREAMING];
    if (mark && mark !== 'response') {
      throw new errors.MalformedStreamingHandler('Only response streaming is supported.');
    }
    if (this.modern && this.handler.length >= 3 && !mark) {
      throw new errors.CallbackHandlerDeprecated(
        'ERROR: AWS Lambda has removed support for callback-based function handlers starting with Node.js 24. ' +
          'You need to modify this function to use a supported handler signature to use Node.js 24 or later. ' +
          'For more information see https://docs.aws.amazon.com/lambda/latest/dg/nodejs-handler.html.',
      );
    }
    this.invoke = mark ? this.invokeStreaming : this.modern ? this.invokeModern : this.invokeClassic;
    // What the function's module left to happen in this turn still belongs to the init phase.
    setImmediate(() => {
      if (!this.dying) {
        this.ready = true;
        this.serve(this.connection.next());
      }
    });
  }

  /** Waits for an event that was asked for, and runs it. */
  serve(asked) {
    asked.then((event) => this.begin(event)).catch((error) => {
      logError('Uncaught Exception', error);
      process.exit(EXIT_EXCEPTION);
    });
  }

  begin({ headers, body }) {
    const id = headers['lambda-runtime-aws-request-id'];
    current.requestId = id;
    current.tenantId = headers['lambda-runtime-aws-tenant-id'];
    const trace = headers['lambda-runtime-trace-id'];
    if (trace) {
      process.env._X_AMZN_TRACE_ID = trace;
    } else {
      delete process.env._X_AMZN_TRACE_ID;
    }
    this.invoke(id, headers, body);
  }

  /** Ends the invocation with a result, once the code that is running has come to rest. */
  succeed(id, result) {
    const body = Buffer.from(serialized(result));
    this.end({ path: `invocation/${id}/response`, headers: 'Content-Type: application/json\r\n', body });
  }

  /** Ends the invocation with an error. */
  fail(id, error) {
    logError('Invoke Error', error);
    this.end(failure(`invocation/${id}/error`, error));
  }

  end(answer) {
    if (this.dying) {
      return;
    }
    // Nothing may follow the end of an invocation, so what the handler still does in this turn goes first.
    this.unsent = answer;
    setImmediate(() => {
      this.unsent = null;
      this.serve(this.connection.answerAndNext(answer.path, answer.headers, answer.body));
    });
  }

  /** Sends the answer of a handler that calls `process.exit` right after it gave one. */
  sendUnsent() {
    if (this.unsent !== null) {
      this.connection.postLast(this.unsent.path, this.unsent.headers, this.unsent.body);
    }
  }

  /** Reports an error that nobody caught, and ends the process. */
  die(error, code) {
    if (this.connection.asking || this.unsent !== null) {
      // The invocation has its answer, or there is none.
      process.exit(code);
    }
    if (this.dying) {
      return;
    }
    this.dying = true;
    const path = this.ready ? `invocation/${current.requestId}/error` : 'init/error';
    const { headers, body } = failure(path, error);
    this.connection.post(path, headers, body).then(() => process.exit(code), () => process.exit(code));
  }

  invokeClassic(id, headers, body) {
    const answers = this.answers(id);
    this.whenIdle = () => answers.finish(null);
    try {
      const event = JSON.parse(body);
      const context = Object.assign(answers.context, classicContext(headers));
      const result = this.handler(event, context, answers.callback);
      if (typeof result?.then === 'function') {
        result.then(answers.context.succeed, answers.context.fail);
      }
    } catch (error) {
      answers.callback(error);
    }
  }

  /** The ways in which a classic handler may answer; only the first counts. */
  answers(id) {
    let answered = false;
    let ended = false;
    let waits = true;
    const finish = (result) => {
      if (ended) {
        return;
      }
      ended = true;
      try {
        this.succeed(id, result);
      } catch (error) {
        this.fail(id, error);
      }
    };
    const answer = (error, result, wait) => {
      if (answered) {
        return;
      }
      answered = true;
      this.whenIdle = () => {};
      if (error !== undefined && error !== null) {
        ended = true;
        this.fail(id, error);
      } else if (wait) {
        this.whenIdle = () => finish(result);
      } else {
        finish(result);
      }
    };
    const context = {
      get callbackWaitsForEmptyEventLoop() {
        return waits;
      },
      set callbackWaitsForEmptyEventLoop(value) {
        waits = value;
      },
      succeed: (result) => answer(null, result, false),
      fail: (error) => answer(error ?? 'handled', undefined, false),
      done: (error, result) => answer(error, result, false),
    };
    return { callback: (error, result) => answer(error, result, waits), context, finish };
  }

  async invokeModern(id, headers, body) {
    let result;
    try {
      const context = modernContext(headers);
      const event = JSON.parse(body);
      result = await this.invokeStore.run(id, headers, () => this.handler(event, context));
      this.succeed(id, result);
    } catch (error) {
      this.fail(id, error);
    }
  }

  async invokeStreaming(id, headers, body) {
    const { stream } = require('./_samovar_stream.js');
    const response = stream(this.connection, id, this.handler[HIGH_WATER_MARK]);
    let waits = !this.modern;
    const context = this.modern ? modernContext(headers) : streamingContext(headers, () => waits, (value) => (waits = value));
    this.whenIdle = () => {};
    try {
      const event = JSON.parse(body);
      const run = () => this.handler(event, response, context);
      const result = this.modern ? this.invokeStore.run(id, headers, run) : run();
      if (typeof result?.then !== 'function') {
        throw this.modern ? new Error('Streaming does not support non-async handlers.') : 'Streaming does not support non-async handlers.';
      }
      if ((await result) !== undefined) {
        console.warn('Streaming handlers ignore return values.');
      }
      await response.answered;
    } catch (error) {
      logError('Invoke Error', error);
      await response.fail(errors.describe(error));
    }
    const next = () => setImmediate(() => this.serve(this.connection.next()));
    if (waits) {
      this.whenIdle = next;
    } else {
      next();
    }
  }
}

function serialized(result) {
  try {
    return JSON.stringify(result === undefined ? null : result) ?? 'null';
  } catch {
    throw new errors.JSONStringifyError('Unable to stringify response body');
  }
}

function failure(path, error) {
  const described = errors.describe(error);
  return { path, headers: errors.headers(error, described), body: Buffer.from(JSON.stringify(described)) };
}

function classicContext(headers) {
  return { ...environmentData(), ...headerData(headers) };
}

function modernContext(headers) {
  const { getRemainingTimeInMillis, ...rest } = headerData(headers);
  const xRayTraceId = headers['lambda-runtime-trace-id'];
  return { ...rest, xRayTraceId, getRemainingTimeInMillis, ...environmentData() };
}

function streamingContext(headers, get, set) {
  const context = Object.defineProperty({}, 'callbackWaitsForEmptyEventLoop', { get, set, enumerable: true });
  return Object.assign(context, classicContext(headers));
}

function environmentData() {
  const env = process.env;
  return {
    functionVersion: env.AWS_LAMBDA_FUNCTION_VERSION,
    functionName: env.AWS_LAMBDA_FUNCTION_NAME,
    memoryLimitInMB: env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    logGroupName: env.AWS_LAMBDA_LOG_GROUP_NAME,
    logStreamName: env.AWS_LAMBDA_LOG_STREAM_NAME,
  };
}

function headerData(headers) {
  const deadline = Number(headers['lambda-runtime-deadline-ms']);
  return {
    clientContext: parsed(headers['lambda-runtime-client-context'], 'ClientContext'),
    identity: parsed(headers['lambda-runtime-cognito-identity'], 'CognitoIdentity'),
    invokedFunctionArn: headers['lambda-runtime-invoked-function-arn'],
    awsRequestId: headers['lambda-runtime-aws-request-id'],
    tenantId: headers['lambda-runtime-aws-tenant-id'],
    getRemainingTimeInMillis: () => deadline - Date.now(),
  };
}

function parsed(text, name) {
  if (text === undefined) {
    return undefined;
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`Cannot parse ${name} as json: ${error}`);
  }
}

/** The global `awslambda`, through which handlers ask for streaming. */
function setUpGlobals(runtime) {
  if (runtime.modern) {
    runtime.invokeStore = new (require('./_samovar_store.js').InvokeStore)();
  }
  if (['1', 'true'].includes(process.env.AWS_LAMBDA_NODEJS_NO_GLOBAL_AWSLAMBDA)) {
    return;
  }
  globalThis.awslambda = {
    streamifyResponse: (handler, options) => {
      handler[STREAMING] = 'response';
      if (typeof options?.highWaterMark === 'number') {
        handler[HIGH_WATER_MARK] = Math.trunc(options.highWaterMark);
      }
      return handler;
    },
    get HttpResponseStream() {
      return require('./_samovar_stream.js').HttpResponseStream;
    },
  };
  if (runtime.modern) {
    globalThis.awslambda.InvokeStore = runtime.invokeStore;
  }
}

function ownMajor() {
  return Number(/^v(\d+)/.exec(process.version)[1]);
}

function main() {
  const env = process.env;
  const id = /nodejs(\d+)\.x$/.exec(env.AWS_EXECUTION_ENV || '');
  const major = id ? Number(id[1]) : ownMajor();
  const runtime = new Runtime(new Connection(env.AWS_LAMBDA_RUNTIME_API), major >= FIRST_MODERN);
  patch(runtime.modern ? '-' : undefined);
  setUpGlobals(runtime);
  const layers = `${env.SAMOVAR_OPT || '/opt'}/nodejs`;
  if (fs.existsSync(layers)) {
    require('./_samovar_layers.js').setUp(layers, major, env.SAMOVAR_OPT !== undefined);
  }
  process.on('beforeExit', () => runtime.whenIdle());
  if (!runtime.modern) {
    process.on('exit', () => runtime.sendUnsent());
    process.on('uncaughtException', (error) => {
      logError('Uncaught Exception', error);
      runtime.die(error, EXIT_EXCEPTION);
    });
    process.on('unhandledRejection', (reason, promise) => {
      const error = new errors.UnhandledPromiseRejection(reason, promise);
      logError('Unhandled Promise Rejection', error);
      runtime.die(error, EXIT_REJECTION);
    });
  }
  runtime.start(env.LAMBDA_TASK_ROOT, env._HANDLER).catch((error) => {
    logError(runtime.modern ? 'Init Error' : 'Uncaught Exception', error);
    runtime.die(error, runtime.modern ? 1 : EXIT_EXCEPTION);
  });
}

function waitFirst(descriptor) {
  const { rehearse } = require('./_samovar_rehearsal.js');
  // Nothing of a promise shall stand around a function.
  const goOn = () =>
    setImmediate(() => {
      require('./_samovar_waiting.js').wait(descriptor);
      main();
    });
  rehearse(Runtime, ownMajor() >= FIRST_MODERN).then(goOn, goOn);
}

if (process.env._SAMOVAR_WAIT === undefined) {
  main();
} else {
  waitFirst(Number(process.env._SAMOVAR_WAIT));
}
