// Finds what layers bring for one version of Node.js: NODE_PATH names it, but Node.js looks there after the links that
// stand above /var/task, and for `import` not at all.
'use strict';

const fs = require('fs');
const Module = require('module');
const { pathToFileURL } = require('url');

// Above /var/task: the packages of layers for every version, and the SDK.
const LINKS = ['/var/node_modules', '/node_modules'];

/** Arranges it for this version. Without walls there are no links, and `import` would find no layer at all. */
function setUp(layers, major, plain) {
  const packages = `${layers}/node${major}/node_modules`;
  const versioned = fs.existsSync(packages);
  if (versioned) {
    lookFirst(packages);
  }
  if (versioned || plain) {
    importFrom(pathToFileURL(`${layers}/node${major}/`).href);
  }
}

function lookFirst(packages) {
  const original = Module._nodeModulePaths;
  Module._nodeModulePaths = (from) => {
    const paths = original.call(Module, from);
    const at = paths.findIndex((path) => LINKS.includes(path));
    return at < 0 ? paths : [...paths.slice(0, at), packages, ...paths.slice(at)];
  };
}

// What a module does not find from where it is, it finds as if it were in the layers' directory.
function importFrom(directory) {
  if (Module.registerHooks) {
    Module.registerHooks({
      resolve: (specifier, context, next) => {
        try {
          return next(specifier, context);
        } catch (error) {
          return next(specifier, elsewhere(specifier, context, error, directory));
        }
      },
    });
  } else if (Module.register) {
    Module.register(pathToFileURL(__filename).href, { data: directory });
  }
}

let fallback;

/** The same for versions whose hooks run in a thread of their own, which loads this file. */
function initialize(directory) {
  fallback = directory;
}

async function resolve(specifier, context, next) {
  try {
    return await next(specifier, context);
  } catch (error) {
    return next(specifier, elsewhere(specifier, context, error, fallback));
  }
}

function elsewhere(specifier, context, error, directory) {
  const bare = !/^(\.{0,2}\/|[a-z]+:)/.test(specifier);
  if (error.code !== 'ERR_MODULE_NOT_FOUND' || !bare || context.parentURL === directory) {
    throw error;
  }
  return { ...context, parentURL: directory };
}

module.exports = { setUp, initialize, resolve };
