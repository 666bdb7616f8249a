/* The template language of the map's context, as an iterator over a text. Pure; allocates nothing.
 *
 *   text  = { literal | "{{" | "}}" | "{" name [ ".family" | ".given" ] [ ":date" | ":sex" ]
 *             [ "|" default ] "}" }
 *   name  = a PS3.6 keyword | gggg,eeee | calling_ae | called_ae
 */
#ifndef AURABRIDGE_ROUTE_TEMPLATE_H
#define AURABRIDGE_ROUTE_TEMPLATE_H

#include "aurabridge/error.h"

#include <stddef.h>
#include <stdint.h>

#define TEMPLATE_NAME_SIZE 64

enum template_kind {
    TEMPLATE_LITERAL,
    TEMPLATE_ATTRIBUTE,
    TEMPLATE_CALLING_AE,
    TEMPLATE_CALLED_AE
};

enum template_part { TEMPLATE_WHOLE, TEMPLATE_FAMILY, TEMPLATE_GIVEN };

enum template_filter { TEMPLATE_PLAIN, TEMPLATE_DATE, TEMPLATE_SEX };

struct template_piece {
    enum template_kind kind;
    const char *text; /* the literal, or the default; belongs to the template */
    size_t length;
    char name[TEMPLATE_NAME_SIZE]; /* of the attribute, as written */
    uint32_t tag;
    enum template_part part;
    enum template_filter filter;
};

/* Takes the next piece from `*at` and moves it on. Returns 1, 0 at the end, or -1 with what is
 * wrong and how to write it. The error quotes the template, which holds no patient data. */
int template_next(struct template_piece *piece, const char **at, struct error *err);

/* Null `err` allowed. Returns 0 when the whole text is a template, else -1. */
int template_check(const char *text, struct error *err);

#endif
