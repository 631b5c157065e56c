# frozen_string_literal: true

# Samovar's Ruby runtime client: fetches events, calls the handler, posts what came of it.

require 'json'
require 'logger'
require 'socket'
require 'stringio'

module SamovarRuntime
  API = '/2018-06-01/runtime/'
  # Asks Samovar to reply to an answer with the next event. Elsewhere the reply is the usual 202.
  AND_NEXT = 'samovar-and-next'
  # A trace with a deep stack must not burst the head of the request.
  CAUSE_LIMIT = 16 * 1024
  STACK_LINES = 100
  TEXT_FRAME = 0xA55A0003
  JSON_FRAME = 0xA55A0002
  LEVEL_MASKS = { 'TRACE' => 0x04, 'DEBUG' => 0x08, 'INFO' => 0x0C, 'WARN' => 0x10, 'ERROR' => 0x14, 'FATAL' => 0x18 }.freeze
  EXIT_INIT = 252
  EXIT_CRITICAL = 255
  # Types of errors that may be named in telemetry; others could tell about the function's data.
  NAMED_ERRORS = %w[
    ArgumentError NoMethodError Exception StandardError NameError LoadError SystemExit SystemStackError
  ].freeze

  class << self
    attr_accessor :request_id, :sink
  end

  # Where log events go: frames on a descriptor of their own, else plain lines on stdout.
  class Sink
    def initialize(descriptor)
      @file = descriptor && IO.for_fd(Integer(descriptor), 'wb', autoclose: false)
      @structured = ENV['AWS_LAMBDA_LOG_FORMAT'].to_s.upcase == 'JSON'
    end

    attr_reader :structured

    def framed?
      !@file.nil?
    end

    # `Logger` demands it of a device.
    def close; end

    def write(message)
      level = message.level if message.is_a?(Line)
      text = message.to_s.encode('UTF-8', invalid: :replace, undef: :replace)
      if @file.nil?
        $stdout.write(text.end_with?("\n") ? text : "#{text}\n")
        return text.bytesize
      end
      kind = (level && structured ? JSON_FRAME : TEXT_FRAME) | LEVEL_MASKS.fetch(level, 0)
      micros = Process.clock_gettime(Process::CLOCK_REALTIME, :microsecond)
      data = text.b
      # One write a frame: what other threads and processes write must not fall into it.
      @file.syswrite([kind, data.bytesize, micros].pack('L>L>Q>') + data)
      data.bytesize
    end
  end

  # A formatted log record, which still knows its level.
  class Line < String
    attr_reader :level

    def initialize(text, level)
      super(text)
      @level = level
    end
  end

  # One kept-alive HTTP/1.1 connection to the Runtime API.
  class Connection
    def initialize(address)
      @host, _, @port = address.rpartition(':')
      @head = "Host: #{address}\r\n"
      @next = "GET #{API}invocation/next HTTP/1.1\r\n#{@head}\r\n"
    end

    # Waits for an event: headers and body.
    def next
      send(@next)
      event
    rescue EOFError, SystemCallError
      # The server may close an idle connection; asking again is harmless.
      @socket = nil
      send(@next)
      event
    end

    # Posts the end of an invocation and waits for the next event, in one request where the platform can.
    def answer_and_next(path, headers, body)
      begin
        send(request(path, headers.merge(AND_NEXT => '1'), body))
        status, *event = receive
        return event if status == 200
      rescue EOFError, SystemCallError
        # A refused answer may end the connection; the platform has told the caller why.
        @socket = nil
      end
      self.next
    end

    # Posts and waits for the reply.
    def post(path, headers, body)
      send(request(path, headers, body))
      receive
    end

    private

    def request(path, headers, body)
      fields = headers.map { |name, value| "#{name}: #{value}\r\n" }.join
      "POST #{API}#{path} HTTP/1.1\r\n#{@head}#{fields}Content-Length: #{body.bytesize}\r\n\r\n".b + body.b
    end

    def send(data)
      if @socket.nil?
        @socket = TCPSocket.new(@host, Integer(@port))
        @socket.setsockopt(Socket::IPPROTO_TCP, Socket::TCP_NODELAY, 1)
      end
      @socket.write(data)
    end

    def event
      status, headers, body = receive
      abort("the Runtime API answered #{status} to next: #{body}") unless status == 200
      [headers, body]
    end

    def receive
      first = @socket.readline("\r\n")
      headers = {}
      while (line = @socket.readline("\r\n", chomp: true)) != ''
        name, value = line.split(':', 2)
        headers[name.downcase] = value.strip.force_encoding('UTF-8')
      end
      body = @socket.read(headers['content-length'].to_i) || ''
      [first.split[1].to_i, headers, body.force_encoding('UTF-8')]
    end
  end

  # The form in which an exception leaves the runtime.
  class Failure
    def initialize(error, classification)
      @error = error
      @classification = classification
    end

    def body
      {
        errorMessage: @error.message.encode('UTF-8', invalid: :replace, undef: :replace),
        errorType: "#{@classification}<#{@error.class}>",
        stackTrace: stack.map(&:to_s)
      }
    end

    def headers
      type = NAMED_ERRORS.include?(@error.class.to_s) ? body[:errorType] : 'Function<UserException>'
      fields = { 'Content-Type' => 'application/json', 'Lambda-Runtime-Function-Error-Type' => type }
      cause = JSON.generate(xray_cause, ascii_only: true)
      fields['Lambda-Runtime-Function-XRay-Error-Cause'] = cause if cause.bytesize <= CAUSE_LIMIT
      fields
    end

    def log(title)
      SamovarRuntime.sink.write("#{title}\n#{JSON.pretty_generate(body)}")
    end

    private

    def stack
      lines = (@error.backtrace_locations || []).first(STACK_LINES)
      lines.take_while { |line| line.absolute_path != __FILE__ && !line.path.to_s.start_with?('<internal:') }
    end

    def xray_cause
      frames = stack.map { |line| { path: line.path, line: line.lineno, label: line.label } }
      exception = { message: body[:errorMessage], type: body[:errorType], stack: frames }
      { working_directory: Dir.pwd, exceptions: [exception], paths: frames.map { |frame| frame[:path] }.uniq }
    end
  end

  # The function that a handler name means.
  class Handler
    def initialize(name)
      parts = name.split('.')
      unless [2, 3].include?(parts.size)
        raise ArgumentError,
              "Invalid handler #{name}, must be of form FILENAME.METHOD or FILENAME.CLASS.METHOD where FILENAME " \
              'corresponds with an existing Ruby source file FILENAME.rb, CLASS is an optional module/class namespace ' \
              'and METHOD is a callable method. If using CLASS, METHOD must be a class-level method.'
      end
      @file = parts.first
      @class = parts[1] if parts.size == 3
      @method = parts.last
      Kernel.require(@file)
    end

    def call(event, context)
      receiver = @class ? Kernel.const_get(@class) : TOPLEVEL_BINDING.receiver
      receiver.__send__(@method, event: event, context: context)
    end
  end

  # Logger as functions find it on Lambda: lines with the request id, or JSON objects.
  module LoggerPatch
    def initialize(device = nil, *rest, **options)
      ours = device.nil? || device == $stdout || device == $stderr
      super(ours ? SamovarRuntime.sink : device, *rest, **options)
      return unless ours

      @default_formatter = Formatter.new
    end

    # What `Logger` calls for each record when the function sets no formatter of its own.
    class Formatter
      def call(severity, time, progname, message)
        structured = SamovarRuntime.sink.structured
        Line.new(structured ? json(severity, time, progname, message) : text(severity, time, progname, message), severity)
      end

      private

      def text(severity, time, progname, message)
        stamp = time.strftime('%Y-%m-%dT%H:%M:%S.%6N')
        id = SamovarRuntime.request_id
        format("%s, [%s #%d] %5s %s -- %s: %s\n", severity[0], stamp, Process.pid, severity, id, progname, words(message))
      end

      def json(severity, time, progname, message)
        record = {
          timestamp: time.utc.strftime('%Y-%m-%dT%H:%M:%S.%6NZ'), level: severity,
          message: message.is_a?(Exception) ? message.message : words(message),
          requestId: SamovarRuntime.request_id, logger: progname&.to_s
        }
        if message.is_a?(Exception)
          record.merge!(errorType: message.class.to_s, errorMessage: message.message, stackTrace: message.backtrace || [])
        end
        "#{JSON.generate(record.compact)}\n"
      end

      def words(message)
        case message
        when String then message
        when Exception then "#{message.message} (#{message.class})\n#{message.backtrace&.join("\n")}"
        else message.inspect
        end
      end
    end
  end

  # One event a call, however many lines it has.
  module Puts
    private

    def puts(*items)
      SamovarRuntime.sink.write(items.flatten.join("\n"))
      nil
    end
  end

  # What a handler receives as `context:`.
  class LambdaContext
    attr_reader :aws_request_id, :invoked_function_arn, :log_group_name, :log_stream_name, :function_name,
                :memory_limit_in_mb, :function_version, :identity, :client_context, :deadline_ms, :tenant_id

    def initialize(headers)
      @aws_request_id = headers['lambda-runtime-aws-request-id']
      @invoked_function_arn = headers['lambda-runtime-invoked-function-arn']
      @deadline_ms = headers['lambda-runtime-deadline-ms'].to_i
      @tenant_id = headers['lambda-runtime-aws-tenant-id']
      @log_group_name = ENV['AWS_LAMBDA_LOG_GROUP_NAME']
      @log_stream_name = ENV['AWS_LAMBDA_LOG_STREAM_NAME']
      @function_name = ENV['AWS_LAMBDA_FUNCTION_NAME']
      @memory_limit_in_mb = ENV['AWS_LAMBDA_FUNCTION_MEMORY_SIZE']
      @function_version = ENV['AWS_LAMBDA_FUNCTION_VERSION']
      @identity = parsed(headers['lambda-runtime-cognito-identity'])
      @client_context = parsed(headers['lambda-runtime-client-context'])
    end

    def get_remaining_time_in_millis # rubocop:disable Naming/AccessorMethodName -- the name is Lambda's
      [@deadline_ms - Process.clock_gettime(Process::CLOCK_REALTIME, :millisecond), 0].max
    end

    private

    def parsed(text)
      text && JSON.parse(text)
    end
  end

  # The loop of one environment.
  class Runtime
    def initialize(connection)
      @connection = connection
    end

    def run(name)
      handler = load(name)
      headers, body = @connection.next
      loop { headers, body = invoke(handler, headers, body) }
    end

    private

    def load(name)
      Handler.new(name)
    rescue Exception => error # rubocop:disable Lint/RescueException -- syntax errors and `exit` are reported too
      failure = Failure.new(error, 'Init')
      failure.log("Init error when loading handler #{name}")
      @connection.post('init/error', failure.headers, JSON.generate(failure.body))
      exit!(EXIT_INIT)
    end

    def invoke(handler, headers, body)
      SamovarRuntime.request_id = headers['lambda-runtime-aws-request-id']
      ENV['_X_AMZN_TRACE_ID'] = headers['lambda-runtime-trace-id']
      path = "invocation/#{SamovarRuntime.request_id}"
      begin
        event = headers['content-type'] == 'application/json' ? JSON.parse(body) : body
        kind, answer = marshalled(handler.call(event, LambdaContext.new(headers)))
      rescue Exception => error # rubocop:disable Lint/RescueException -- nothing may end an invocation unreported
        return fail(path, error)
      end
      @connection.answer_and_next("#{path}/response", { 'Content-Type' => kind }, answer)
    end

    def marshalled(result)
      case result
      when StringIO, IO then ['application/unknown', result.read]
      else ['application/json', result.to_json]
      end
    end

    def fail(path, error)
      failure = Failure.new(error, 'Function')
      # After these the state of the process is in doubt, and a new one takes its place.
      critical = error.is_a?(NameError) || !error.is_a?(StandardError)
      failure.log(critical ? 'Critical exception from handler' : 'Error raised from handler method')
      body = JSON.generate(failure.body)
      return @connection.answer_and_next("#{path}/error", failure.headers, body) unless critical

      @connection.post("#{path}/error", failure.headers, body)
      exit!(EXIT_CRITICAL)
    end
  end

  def self.main
    $stdout.sync = true
    $stderr.sync = true
    self.sink = Sink.new(ENV.delete('_LAMBDA_TELEMETRY_LOG_FD'))
    Logger.prepend(LoggerPatch)
    Object.prepend(Puts) if sink.framed?
    root = ENV.fetch('LAMBDA_TASK_ROOT', '/var/task')
    $LOAD_PATH.unshift(root) unless $LOAD_PATH.include?(root)
    Runtime.new(Connection.new(ENV.fetch('AWS_LAMBDA_RUNTIME_API'))).run(ENV.fetch('_HANDLER'))
  end
end

SamovarRuntime.main
