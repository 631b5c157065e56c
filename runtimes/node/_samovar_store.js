// What belongs to the running invocation, where libraries look for it from Node.js 24 on.
'use strict';

const KEYS = {
  REQUEST_ID: Symbol.for('_AWS_LAMBDA_REQUEST_ID'),
  X_RAY_TRACE_ID: Symbol.for('_AWS_LAMBDA_X_RAY_TRACE_ID'),
  TENANT_ID: Symbol.for('_AWS_LAMBDA_TENANT_ID'),
};

class InvokeStore {
  static PROTECTED_KEYS = KEYS;

  run(id, headers, work) {
    this.fields = {
      [KEYS.REQUEST_ID]: id,
      [KEYS.X_RAY_TRACE_ID]: headers['lambda-runtime-trace-id'],
      [KEYS.TENANT_ID]: headers['lambda-runtime-aws-tenant-id'],
    };
    return work();
  }

  getContext() {
    return this.fields;
  }

  hasContext() {
    return this.fields !== undefined;
  }

  get(key) {
    return this.fields?.[key];
  }

  set(key, value) {
    if (Object.values(KEYS).includes(key)) {
      throw new Error(`Cannot modify protected Lambda context field: ${String(key)}`);
    }
    this.fields = { ...this.fields, [key]: value };
  }

  getRequestId() {
    return this.get(KEYS.REQUEST_ID) ?? '-';
  }

  getXRayTraceId() {
    return this.get(KEYS.X_RAY_TRACE_ID);
  }

  getTenantId() {
    return this.get(KEYS.TENANT_ID);
  }
}

module.exports = { InvokeStore };
