import ArgumentParser
import Logging
import Telemetry

extension Logger.Level: @retroactive ExpressibleByArgument {}
extension LogFormat: ExpressibleByArgument {}

/// How much is logged, and how it looks. Logs go to standard error.
struct LogFlags: ParsableArguments {
    @Option(help: ArgumentHelp("Least important lines to log.", valueName: "level"))
    var logLevel = Logger.Level.info

    @Option(help: ArgumentHelp("How a log line looks.", valueName: "format"))
    var logFormat = LogFormat.text

    /// To be called once, before the first line.
    func bootstrap() {
        let (level, format) = (logLevel, logFormat)
        LoggingSystem.bootstrap { LineLogHandler(label: $0, format: format, level: level) }
    }
}
