// Finds the handler function that a name such as `dir/module.nested.handler` means.
'use strict';

const fs = require('fs');
const path = require('path');
const { createRequire } = require('module');
const errors = require('./_samovar_errors.js');

// "Require stack" in error texts names this file on Lambda; tools match on it.
const userRequire = createRequire('/var/runtime/index.mjs');

/** The handler function. `modern` follows the rules that hold from Node.js 24 on. */
async function load(root, name, modern) {
  if (name.includes('..')) {
    const advice = 'Use absolute paths when specifying root directories in handler names.';
    throw new errors.MalformedHandlerName(`'${name}' is not a valid handler name. ${advice}`);
  }
  const last = path.basename(name);
  const folder = name.slice(0, name.indexOf(last));
  const dot = last.indexOf('.');
  if (dot < 0) {
    throw new errors.MalformedHandlerName('Bad handler');
  }
  const found = await loadModule(root, folder, last.slice(0, dot), modern);
  const keys = last.slice(dot + 1).split('.');
  const handler = within(found, keys) || (modern && within(found?.default, keys));
  if (!handler) {
    throw new errors.HandlerNotFound(`${name} is undefined or not exported`);
  }
  if (typeof handler !== 'function') {
    throw new errors.HandlerNotFound(`${name} is not a function`);
  }
  return handler;
}

async function loadModule(root, folder, name, modern) {
  try {
    const file = path.resolve(root, folder, name);
    const loaded = modern ? await importFirst(file) : await requireOrImport(file);
    if (loaded) {
      return loaded;
    }
    return userRequire(userRequire.resolve(name, { paths: [root, path.join(root, folder)] }));
  } catch (error) {
    if (error instanceof SyntaxError) {
      throw new errors.UserCodeSyntaxError(error);
    }
    if (error?.code === 'MODULE_NOT_FOUND') {
      throw new errors.ImportModuleError(error);
    }
    throw error;
  }
}

async function requireOrImport(file) {
  if (fs.existsSync(file)) {
    return userRequire(file);
  }
  if (fs.existsSync(`${file}.js`)) {
    return isModule(path.dirname(file)) ? import(`${file}.js`) : userRequire(`${file}.js`);
  }
  if (fs.existsSync(`${file}.mjs`)) {
    return import(`${file}.mjs`);
  }
  return fs.existsSync(`${file}.cjs`) ? userRequire(`${file}.cjs`) : undefined;
}

async function importFirst(file) {
  for (const extension of ['', '.js', '.mjs', '.cjs']) {
    if (!fs.existsSync(file + extension)) {
      continue;
    }
    // What is surely CommonJS is required: starting the machinery of `import` costs milliseconds.
    const common = extension === '.cjs' || (extension === '.js' && isCommonJs(file));
    return common ? userRequire(file + extension) : import(file + extension);
  }
  return undefined;
}

function isCommonJs(file) {
  const type = packageType(path.dirname(file));
  return type === 'commonjs' || (type === undefined && !/^\s*(import|export)\b/m.test(fs.readFileSync(`${file}.js`, 'utf8')));
}

function isModule(folder) {
  return packageType(folder) === 'module';
}

// The `type` of the nearest package.json, as Node.js looks for it.
function packageType(folder) {
  if (folder.endsWith('/node_modules')) {
    return undefined;
  }
  const file = path.join(folder, 'package.json');
  if (fs.existsSync(file)) {
    try {
      return JSON.parse(fs.readFileSync(file, 'utf8'))?.type;
    } catch (error) {
      console.warn(`${file} cannot be read, it will be ignored for ES module detection purposes.`, error);
      return undefined;
    }
  }
  return folder === '/' ? undefined : packageType(path.dirname(folder));
}

function within(object, keys) {
  return keys.reduce((nested, key) => nested && nested[key], object);
}

module.exports = { load };
