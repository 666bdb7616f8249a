/* Checks of single texts. Each returns null when the text is good, else why it is not, in words
 * that follow "is". Pure.
 */
#ifndef AURABRIDGE_CONFIG_TEXT_CHECK_H
#define AURABRIDGE_CONFIG_TEXT_CHECK_H

#include <stdbool.h>

const char *text_check_listen(const char *text);
const char *text_check_pattern(const char *text);
const char *text_check_uid(const char *text);
const char *text_check_character_set(const char *text);
const char *text_check_url(const char *text);
const char *text_check_filled(const char *text);
const char *text_check_name(const char *text);
const char *text_check_name_or_empty(const char *text);
/* No template: "{" and "}" are refused. */
const char *text_check_template(const char *text);

/* Whether a URL is plain http to another machine. */
bool text_is_exposed_http(const char *url);

#endif
