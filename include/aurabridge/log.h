/* The log: one line per event on standard error, with UTC time and level. Thread-safe.
 *
 * Never pass patient data or secrets: names, patient ids, dates, accession numbers, descriptions.
 * UIDs, AE titles, addresses, states and counts are allowed. Control characters in arguments are
 * escaped, so that a peer cannot forge a line.
 */
#ifndef AURABRIDGE_LOG_H
#define AURABRIDGE_LOG_H

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Lines above `level` are not written. The default is LOG_LEVEL_INFO. */
void log_set_level(enum log_level level);

/* `room` is the room's name ("node", "tus"); at most LOG_LINE_MAX bytes of the line are kept. */
#define LOG_LINE_MAX 2048
void log_write(enum log_level level, const char *room, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#define log_error(room, ...)   log_write(LOG_LEVEL_ERROR, room, __VA_ARGS__)
#define log_warning(room, ...) log_write(LOG_LEVEL_WARNING, room, __VA_ARGS__)
#define log_info(room, ...)    log_write(LOG_LEVEL_INFO, room, __VA_ARGS__)
#define log_debug(room, ...)   log_write(LOG_LEVEL_DEBUG, room, __VA_ARGS__)

#endif
