// Loaded before claudia: version 2 of the JavaScript SDK does not read AWS_ENDPOINT_URL.
const aws = require('aws-sdk');
aws.config.update({
  lambda: {endpoint: process.env.AWS_ENDPOINT_URL},
  sts: {endpoint: process.env.SAMOVAR_TEST_STS},
});
