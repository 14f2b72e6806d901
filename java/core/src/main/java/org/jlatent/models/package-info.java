/** The models: encoders, decoders and what is minimised. */
package org.jlatent.models;
