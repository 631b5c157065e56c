// Creates, waits for, invokes and deletes a function; prints what it saw as JSON.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(`${process.env.SAMOVAR_TEST_NODE_MODULES}/`);
const { Lambda, waitUntilFunctionActiveV2 } = require("@aws-sdk/client-lambda");
const { CloudWatchLogs } = require("@aws-sdk/client-cloudwatch-logs");

const [zip, FunctionName, Runtime, Role] = process.argv.slice(2);
const lambda = new Lambda({});
const logs = new CloudWatchLogs({});
const text = (bytes) => Buffer.from(bytes).toString();
const seen = {};

const created = await lambda.createFunction({
  FunctionName, Runtime, Role, Handler: "index.handler", Code: { ZipFile: readFileSync(zip) },
});
seen.created = created.State;
await waitUntilFunctionActiveV2({ client: lambda, maxWaitTime: 30, minDelay: 1, maxDelay: 1 }, { FunctionName });
const answer = await lambda.invoke({ FunctionName, Payload: JSON.stringify({ a: 1 }), LogType: "Tail" });
seen.payload = JSON.parse(text(answer.Payload));
seen.log = Buffer.from(answer.LogResult, "base64").toString();
const failed = await lambda.invoke({ FunctionName, Payload: JSON.stringify({ fail: true }) });
seen.error = failed.FunctionError;
seen.errorPayload = JSON.parse(text(failed.Payload));
const streamed = await lambda.invokeWithResponseStream({ FunctionName, Payload: "{}", LogType: "Tail" });
seen.streamed = "";
for await (const { PayloadChunk, InvokeComplete } of streamed.EventStream) {
  if (PayloadChunk) seen.streamed += text(PayloadChunk.Payload);
  if (InvokeComplete) seen.streamedLog = Buffer.from(InvokeComplete.LogResult, "base64").toString();
}
const page = await logs.filterLogEvents({ logGroupName: `/aws/lambda/${FunctionName}` });
seen.events = page.events.map((event) => event.message);
await lambda.deleteFunction({ FunctionName });
try {
  await lambda.getFunction({ FunctionName });
} catch (error) {
  seen.missing = error.name;
}
console.log(JSON.stringify(seen));
